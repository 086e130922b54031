"""Figures of a benchmark as people read them."""

from collections.abc import Iterator, Mapping
from typing import Any

from mediation.bench.distribution import pictured


def rows_of(figures: Mapping[str, Any]) -> Iterator[str]:
    """One a line."""
    return (f"{name:20} {value}\n" for name, value in figures.items())


def table_of(figures: Mapping[str, Any]) -> Iterator[str]:
    """Those of `bench pages` and `bench search`: what was asked for as a table, then the rest."""
    pages = figures["details"]
    width = max(map(len, pages))
    yield f"{'asked for':{width}} {'p50 ms':>9} {'p95 ms':>9} {'max ms':>9} {'requests':>9} {'bytes':>9}\n"
    for name, page in pages.items():
        if name in figures["failures"]:
            yield f"{name:{width}} {figures['failures'][name]}\n"
            continue
        times = " ".join(f"{page[key]:>9.1f}" for key in ("p50_ms", "p95_ms", "max_ms"))
        yield f"{name:{width}} {times} {page['requests']:>9} {page['bytes']:>9}\n"
    yield "\n"
    yield from rows_of({name: value for name, value in figures.items() if name not in ("pages", "details", "failures")})


def distribution_of(figures: Mapping[str, Any]) -> Iterator[str]:
    """Those of `bench detect`: one a line, and the distribution pictured."""
    yield from rows_of({name: value for name, value in figures.items() if name != "histogram"})
    yield "\nposted -> barred\n"
    yield from pictured(figures["histogram"])
