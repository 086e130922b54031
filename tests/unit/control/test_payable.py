"""What may be paid of a total due."""

import pytest

from control.ledger.entry import EntryRefused, Owed, payable


@pytest.mark.parametrize(
    ("asked_micros", "in_all_micros", "billed_micros", "expected"),
    [
        # Nothing is billed and due: all that is owed, also calls that are not billed yet.
        (None, 2_620_000, 0, 2_620_000),
        (2_620_000, 2_620_000, 0, 2_620_000),
        (10_000, 2_620_000, 0, 10_000),
        (2_620_001, 2_620_000, 0, "over-amount"),
        (None, 2_620_000, -1_000_000, 2_620_000),
        # Something is: that, and more only where it is asked for.
        (None, 11_400_000, 4_380_000, 4_380_000),
        (11_400_000, 11_400_000, 4_380_000, 11_400_000),
        (11_410_000, 11_400_000, 4_380_000, "over-amount"),
        (None, 11_404_000, 4_380_100, 4_380_000),
        (None, 4_000_000, 4_380_000, 4_000_000),
        (None, 0, 0, "zero-balance"),
        (1, 0, 0, "zero-balance"),
        (None, -10_000, 0, "credit-balance"),
        (1, -10_000, 0, "credit-balance"),
        # Less than can be paid.
        (None, 4_999, 0, "zero-balance"),
        (None, -5_000, 0, "zero-balance"),
        (None, 5_000, 0, 10_000),
    ],
)
def test_what_is_paid_of_what_is_owed(
    asked_micros: int | None, in_all_micros: int, billed_micros: int, expected: int | str
) -> None:
    try:
        paid: int | str = payable(asked_micros, Owed(in_all_micros, billed_micros), "USD")
    except EntryRefused as refused:
        paid = refused.why.value
    assert paid == expected


@pytest.mark.parametrize(
    ("owed_micros", "words"),
    [
        (0, "nothing is due: the balance is zero"),
        (3_500, "the account has 0.0035 owed, which is less than USD can pay"),
        (-3_500, "the account has 0.0035 to its credit, which is less than USD can pay"),
        (-12_000_000, "the account has 12.00 to its credit"),
    ],
)
def test_the_words_say_how_the_account_stands(owed_micros: int, words: str) -> None:
    with pytest.raises(EntryRefused, match=words):
        payable(None, Owed(owed_micros), "USD")
