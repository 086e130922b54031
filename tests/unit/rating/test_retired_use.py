"""What the transactions of a month come to, before they leave the store."""

import pytest

from rating.cdr import MICROS
from rating.retired_use import NotBilled, RetiredUse
from rating.store.retired import RetiredSum, in_words
from tests.builders import ACCOUNT, NOW, a_row, an_account, micros

DAY_US = 86_400 * MICROS
DAY = NOW // DAY_US
FIRST = "2026-10-14T12:00:00Z"


def use_of(*rows: dict[str, object]) -> RetiredUse:
    use = RetiredUse({ACCOUNT: an_account(cycle_day=15)}, lambda _, number, __: 1 if number < 9 else 2)
    for row in rows:
        use.add(a_row(**{"charge_micros": MICROS, "duration_us": 5} | row))
    return use


@pytest.mark.parametrize(
    ("second", "sums"),
    [
        ({"answer_at": micros(FIRST) + 1}, [(1, 2, 10, 2, 2)]),
        ({"answer_at": micros(FIRST) - 1}, [(0, 2, 10, 2, 2)]),
        ({"answer_at": micros(FIRST), "duration_us": 0}, [(1, 2, 5, 1, 2)]),
        ({"answer_at": micros(FIRST), "duration_us": -5, "charge_micros": -MICROS}, [(1, 0, 0, 0, 2)]),
        ({"answer_at": micros("2026-10-15T12:00:00Z")}, [(1, 1, 5, 1, 1), (2, 1, 5, 1, 1)]),
        ({"answer_at": micros("2026-09-30T12:00:00Z")}, [(1, 1, 5, 1, 1), (0, 1, 5, 1, 1)]),
        ({"answer_at": micros(FIRST), "id": 9}, [(1, 1, 5, 1, 1), (1, 1, 5, 1, 1)]),
    ],
    ids=["later", "earlier", "not answered", "taken back", "the next cycle", "the month before", "another bill"],
)
def test_calls_on_one_bill_in_one_month_and_cycle_are_one_sum(
    second: dict[str, object], sums: list[tuple[int, ...]]
) -> None:
    use = use_of({"answer_at": micros(FIRST)}, second)
    found = list(use.sums())
    place = {-1: 0, 0: 1, 1: 2}
    told = [
        (
            place[(one.answer_at > micros(FIRST)) - (one.answer_at < micros(FIRST))],
            one.charge_micros // MICROS,
            *one[4:],
        )
        for one in found
    ]
    assert told == sums
    assert (use.transactions, use.charge_micros) == (2, sum(one.charge_micros for one in found))
    assert isinstance(found[0], RetiredSum)


def test_corrections_did_not_arrive() -> None:
    use = use_of({"source": 1}, {"source": 1, "key": -1}, {"source": 2}, {"source": 1, "arrived_at": NOW - DAY_US})
    assert use.arrivals() == [(1, DAY - 1, 1), (1, DAY, 1), (2, DAY, 1)]


def test_a_call_on_no_bill_ends_it() -> None:
    use = RetiredUse({ACCOUNT: an_account()}, lambda *_: None)
    with pytest.raises(NotBilled, match=f"transaction 1 of account {ACCOUNT} is on no bill yet"):
        use.add(a_row())
    assert use.transactions == 0


@pytest.mark.parametrize(
    ("months", "words"),
    [
        ([202501], "2025-01"),
        ([202511, 202512, 202601], "2025-11 to 2026-01"),
        ([202501, 202503, 202504], "2025-01, 2025-03 to 2025-04"),
    ],
)
def test_months_in_words(months: list[int], words: str) -> None:
    assert in_words(months) == words
