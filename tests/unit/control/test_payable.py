"""What may be paid of a total due."""

import pytest

from control.ledger.entry import EntryRefused, payable


@pytest.mark.parametrize(
    ("asked_micros", "due_micros", "expected"),
    [
        (None, 2_618_000, 2_618_000),
        (2_618_000, 2_618_000, 2_618_000),
        (1, 2_618_000, 1),
        (2_618_001, 2_618_000, "over-amount"),
        (None, 0, "zero-balance"),
        (1, 0, "zero-balance"),
        (None, -1, "credit-balance"),
        (1, -1, "credit-balance"),
    ],
)
def test_what_is_due_is_the_most_that_is_paid(asked_micros: int | None, due_micros: int, expected: int | str) -> None:
    try:
        paid: int | str = payable(asked_micros, due_micros, "USD")
    except EntryRefused as refused:
        paid = refused.why.value
    assert paid == expected
