"""Benchmarks: each starts and ends what it needs itself, and prints figures whose ratios were taken in one run."""
