"""Formal billing: what a bill is, how it is made of an account's transactions, numbered, posted and kept."""
