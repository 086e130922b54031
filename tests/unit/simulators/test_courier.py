"""How long the courier waits, and that its totals add up by their names."""

import pytest

from simulators.courier import Retry, Totals


@pytest.mark.parametrize(
    ("failures", "retry_after_s", "pause_s"),
    [(0, None, 0.1), (1, None, 0.2), (3, None, 0.8), (6, None, 5.0), (10_000, None, 5.0), (0, 3.0, 3.0), (9, 0.0, 0.0)],
)
def test_the_pause_doubles_unless_the_daemon_says_how_long(
    failures: int, retry_after_s: float | None, pause_s: float
) -> None:
    assert Retry(first_s=0.1, most_s=5.0).pause_s(failures, retry_after_s) == pytest.approx(pause_s)


def test_totals_are_json_by_their_names() -> None:
    totals = Totals(calls=3, sent=4, acknowledged=4, accepted=3, duplicate=1).as_json()
    assert totals["sent"] == totals["acknowledged"] == totals["accepted"] + totals["duplicate"] + totals["suspended"]
    assert {"calls", "retried", "repeated", "restored", "batches", "last_failure"} <= totals.keys()
