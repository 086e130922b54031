"""A distribution of latencies, in full: its percentiles, and how many there are up to each of some bounds."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

PER_MILLE: Final = {"min": 0, "p1": 10, "p10": 100, "p25": 250, "p50": 500, "p75": 750, "p90": 900, "p95": 950,
                    "p99": 990, "p999": 999, "max": 1000}  # fmt: skip
BOUNDS_MS: Final = (5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2000, 5000, 10_000, 60_000)
_BAR: Final = 50


def percentiles_ms(seconds: Iterable[float]) -> dict[str, float]:
    """Nearest-rank percentiles in milliseconds, by name; of at least one."""
    ordered = sorted(seconds)
    return {
        f"{name}_ms": round(ordered[max(1, -(-len(ordered) * share // 1000)) - 1] * 1000, 3)
        for name, share in PER_MILLE.items()
    }


def histogram(seconds: Iterable[float]) -> dict[str, int]:
    """How many there are by the least bound that each keeps, as text in milliseconds, without the empty ones at both
    ends; what keeps none is `more`."""
    counts = [0] * (len(BOUNDS_MS) + 1)
    for latency in seconds:
        counts[bisect_left(BOUNDS_MS, latency * 1000)] += 1
    names = [*map(str, BOUNDS_MS), "more"]
    some = [index for index, count in enumerate(counts) if count]
    return {names[index]: counts[index] for index in range(some[0], some[-1] + 1)} if some else {}


def pictured(counts: Mapping[str, int]) -> Sequence[str]:
    """The histogram for people, a bound a line."""
    most = max(counts.values(), default=1)
    so_far, lines = 0, []
    total = sum(counts.values())
    for bound, count in counts.items():
        so_far += count
        what = f"<= {bound} ms" if bound != "more" else "more"
        bar = "#" * -(-count * _BAR // most)
        lines.append(f"{what:>12} {count:>8} {100 * so_far / total:>8.2f} % {bar}\n")
    return lines


def pairs(noted: Iterable[Sequence[Any]]) -> dict[int, list[float]]:
    """Instants by index, of `[index, instant]`."""
    found: dict[int, list[float]] = {}
    for index, at_s in noted:
        found.setdefault(int(index), []).append(float(at_s))
    return found
