"""Whether a customer's payment is accepted, and which states it may go through."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.payments.discount import Offer
from control.payments.payment import (
    FOLLOWING,
    LIVE,
    PENDING,
    Accepted,
    Reason,
    Refused,
    Standing,
    State,
    decide,
    request_digest,
)
from rating.cdr import MICROS

TODAY = date(2026, 11, 13)
OFFER = Offer(1, 2 * MICROS, date(2026, 11, 3), TODAY)
LATE = Offer(1, 2 * MICROS, date(2026, 11, 2), date(2026, 11, 12))
EARLY = Offer(1, 2 * MICROS, date(2026, 11, 14), date(2026, 11, 24))


def standing(due: int, pending: int = 0, offered: Offer | None = None, **more: int) -> Standing:
    """In whole units; of an invoice that is all that is due."""
    values = {"open": due} | more
    return Standing(
        due * MICROS, pending * MICROS, values["open"] * MICROS, offered, below_micros=values.get("below", 0) * MICROS
    )


def said(asked: int | None, stands: Standing) -> tuple[int, int] | str:
    """What is paid and let go of, or why not."""
    found = decide(asked and asked * MICROS, stands, TODAY)
    if isinstance(found, Refused):
        assert found.words
        return found.reason.value
    assert found.amount_micros % MICROS == found.discount_micros % MICROS == 0
    return found.amount_micros // MICROS, found.discount_micros // MICROS


@pytest.mark.parametrize(
    ("asked", "stands", "expected"),
    [
        # Without a discount.
        (None, standing(100), (100, 0)),
        (100, standing(100), (100, 0)),
        (1, standing(100), (1, 0)),
        (101, standing(100), "over-amount"),
        (None, standing(0), "zero-balance"),
        (1, standing(0), "zero-balance"),
        (None, standing(-5), "credit-balance"),
        (1, standing(-5), "credit-balance"),
        # While a payment is on its way.
        (None, standing(0, pending=100), "payment-pending"),
        (100, standing(0, pending=100), "payment-pending"),
        (None, standing(-5, pending=100), "payment-pending"),
        (None, standing(-5, pending=5), "credit-balance"),
        (None, standing(-5, pending=3), "credit-balance"),
        (None, standing(40, pending=60), (40, 0)),
        (40, standing(40, pending=60), (40, 0)),
        (41, standing(40, pending=60), "payment-pending"),
        (100, standing(40, pending=60), "payment-pending"),
        (101, standing(40, pending=60), "over-amount"),
        # With a discount of 2.
        (None, standing(100, offered=OFFER), (98, 2)),
        (98, standing(100, offered=OFFER), (98, 2)),
        (97, standing(100, offered=OFFER), (97, 0)),
        (99, standing(100, offered=OFFER), "over-amount"),
        (100, standing(100, offered=OFFER), "over-amount"),
        (None, standing(100, offered=LATE), (100, 0)),
        (None, standing(100, offered=EARLY), (100, 0)),
        (None, standing(3, offered=OFFER), (1, 2)),
        (None, standing(2, offered=OFFER), (2, 0)),
        (None, standing(1, offered=OFFER), (1, 0)),
        (None, standing(0, offered=OFFER), "zero-balance"),
        # Of an invoice after which others came.
        (None, standing(150, offered=OFFER, open=100), (148, 2)),
        (98, standing(150, offered=OFFER, open=100), (98, 2)),
        (97, standing(150, offered=OFFER, open=100), (97, 0)),
        (149, standing(150, offered=OFFER, open=100), "over-amount"),
        (None, standing(150, offered=OFFER, open=0), (150, 0)),
        (None, standing(150, offered=OFFER, open=-10), (150, 0)),
        (None, standing(50, offered=OFFER, open=100), (48, 2)),
        # Too small to be collected.
        (None, standing(5, below=5), "zero-balance"),
        (None, standing(6, below=5), (6, 0)),
        (1, standing(6, below=5), (1, 0)),
        (None, standing(-1, below=5), "credit-balance"),
        (None, standing(3, pending=3, below=5), "payment-pending"),
        (None, standing(3, pending=2, below=5), "zero-balance"),
    ],
)
def test_a_payment_is_accepted_or_refused(asked: int | None, stands: Standing, expected: tuple[int, int] | str) -> None:
    assert said(asked, stands) == expected


CENT = 10_000
AMOUNTS = st.integers(-50, 50)


@given(
    st.none() | st.integers(1, 60), AMOUNTS, st.integers(0, 50), AMOUNTS, st.none() | st.integers(1, 20),
    st.integers(0, 10), st.sampled_from([date(2026, 11, 3), TODAY, date(2026, 11, 14)]),
)  # fmt: skip
def test_what_is_accepted_never_makes_a_credit(
    asked: int | None, due: int, pending: int, left: int, discount: int | None, below: int, today: date
) -> None:
    due, pending, left, below = (cents * CENT for cents in (due, pending, left, below))
    asked, discount = (cents and cents * CENT for cents in (asked, discount))
    offered = discount and Offer(1, discount, date(2026, 11, 3), TODAY)
    stands = Standing(due, pending, left, offered or None, below)
    found = decide(asked, stands, today)
    if isinstance(found, Accepted):
        assert found.amount_micros > 0
        assert 0 <= found.discount_micros <= (discount or 0)
        assert found.amount_micros + found.discount_micros <= due
        assert asked in (None, found.amount_micros)
        assert due > below
        if found.discount_micros:
            assert found.amount_micros + found.discount_micros >= min(left, due)
    else:
        assert asked is None or asked > due - (discount or 0) or due <= below
        assert (found.reason is Reason.PAYMENT_PENDING) <= (pending > 0)
        assert (found.reason is Reason.CREDIT_BALANCE) <= (due < 0)


def test_the_words_say_what_to_do_with_the_amounts() -> None:
    def words(asked: int | None, stands: Standing) -> str:
        found = decide(asked and asked * MICROS, stands, TODAY)
        assert isinstance(found, Refused)
        return found.words

    assert "12.00 to its credit" in words(None, standing(-12))
    assert "98.00 (2.00 less for paying early)" in words(100, standing(100, offered=OFFER))
    assert "above what is due, 100.00: pay that" in words(101, standing(100))
    assert "3.00, is too small" in words(None, standing(3, below=5))


def test_every_state_has_its_followers_and_no_way_leads_back() -> None:
    assert FOLLOWING.keys() == set(State)
    assert {state for state, following in FOLLOWING.items() if not following} == {
        State.REFUSED, State.CANCELLED, State.REJECTED, State.RETURNED,
    }  # fmt: skip
    reached = {State.REQUESTED}
    for _ in State:
        reached |= {state for known in reached for state in FOLLOWING[known]}
    assert reached == set(State) - {State.REFUSED}
    assert {state for state in State if State.CANCELLED in FOLLOWING[state]} == {State.REQUESTED}, "before batching"
    assert not any(State.REQUESTED in following for following in FOLLOWING.values())
    assert FOLLOWING[State.SETTLED] == {State.RETURNED}
    assert {State.SETTLED} == LIVE - PENDING


def test_another_request_has_another_digest() -> None:
    asked = [(1, None, "USD"), (1, 1, "USD"), (2, None, "USD"), (1, None, "EUR")]
    assert len({request_digest(*one) for one in asked}) == len(asked)


def test_what_no_one_can_pay_of_an_old_bill_stays_for_the_next() -> None:
    old = Standing(23_090_100, 0, 23_090_100, None)
    assert decide(None, old, TODAY) == decide(23_090_000, old, TODAY) == Accepted(23_090_000, 0)
    for asked in (23_090_100, 23_100_000):
        refused = decide(asked, old, TODAY)
        assert isinstance(refused, Refused)
        assert refused.words.startswith("the amount is above what is due, 23.09:")
    discount = Offer(1, 460_000, date(2026, 11, 3), TODAY)
    assert decide(22_630_000, Standing(23_090_100, 0, 23_090_100, discount), TODAY) == Accepted(22_630_000, 460_000)
    left = decide(None, Standing(100, 0, 100, None), TODAY)
    assert isinstance(left, Refused)
    assert (left.reason, left.words[:38]) == (Reason.ZERO_BALANCE, "the total due, 0.0001, is too small to")


@pytest.mark.parametrize(
    ("currency", "due", "paid"),
    [("USD", 1_999_999, 1_990_000), ("JPY", 1_999_999, 1_000_000), ("KWD", 1_999_999, 1_999_000)],
)
def test_what_is_paid_by_default_can_be_paid(currency: str, due: int, paid: int) -> None:
    assert decide(None, Standing(due, 0, due, None, 0, currency), TODAY) == Accepted(paid, 0)
