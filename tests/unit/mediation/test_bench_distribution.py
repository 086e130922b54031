"""How the benchmarks tell a distribution of latencies."""

import pytest

from mediation.bench.distribution import histogram, pairs, percentiles_ms, pictured


def test_percentiles_are_measured_values_by_nearest_rank() -> None:
    found = percentiles_ms(ms / 1000 for ms in range(1000, 0, -1))
    assert found == {
        "min_ms": 1.0, "p1_ms": 10.0, "p10_ms": 100.0, "p25_ms": 250.0, "p50_ms": 500.0, "p75_ms": 750.0,
        "p90_ms": 900.0, "p95_ms": 950.0, "p99_ms": 990.0, "p999_ms": 999.0, "max_ms": 1000.0,
    }  # fmt: skip
    assert set(percentiles_ms([0.25]).values()) == {250.0}


@pytest.mark.parametrize(
    ("seconds", "counts"),
    [
        ([], {}),
        ([0.005, 0.0051, 0.03], {"5": 1, "10": 1, "20": 0, "30": 1}),
        ([60.0, 60.1], {"60000": 1, "more": 1}),
    ],
)
def test_a_histogram_counts_each_by_the_least_bound_that_it_keeps(seconds: list[float], counts: dict[str, int]) -> None:
    assert histogram(seconds) == counts


def test_people_see_bounds_counts_and_shares() -> None:
    lines = [line.split() for line in pictured({"5": 1, "10": 0, "more": 3})]
    assert [line[:-1] if line[-1].startswith("#") else line for line in lines] == [
        ["<=", "5", "ms", "1", "25.00", "%"],
        ["<=", "10", "ms", "0", "25.00", "%"],
        ["more", "3", "100.00", "%"],
    ]


def test_instants_are_found_by_their_index() -> None:
    assert pairs([[3, 1.5], [1, 2], [3, 2.5]]) == {3: [1.5, 2.5], 1: [2.0]}
