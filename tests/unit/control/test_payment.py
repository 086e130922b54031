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
from control.payments.settling import OpenInvoice, Share, spread
from rating.cdr import MICROS

TODAY = date(2026, 11, 13)
OFFER = Offer(1, 2 * MICROS, date(2026, 11, 3), TODAY)
LATE = Offer(1, 2 * MICROS, date(2026, 11, 2), date(2026, 11, 12))
EARLY = Offer(1, 2 * MICROS, date(2026, 11, 14), date(2026, 11, 24))


def standing(due: int, pending: int = 0, offered: Offer | None = None, below: int = 0) -> Standing:
    """In whole units; of one invoice."""
    invoices = (OpenInvoice(1, due * MICROS, offered),) if due > 0 else ()
    return Standing(due * MICROS, pending * MICROS, invoices, below * MICROS)


def of_several(*left: tuple[int, Offer | None]) -> Standing:
    """Of the invoices 1, 2 …, so much of each and with its discount."""
    invoices = tuple(OpenInvoice(number, units * MICROS, offered) for number, (units, offered) in enumerate(left, 1))
    return Standing(sum(units for units, _ in left) * MICROS, 0, invoices)


def of_one(due: int, offered: Offer | None = None, currency: str = "USD") -> Standing:
    """In micro-units."""
    return Standing(due, 0, (OpenInvoice(1, due, offered),), 0, currency)


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
        # Of several invoices: all that is due takes all discounts, and the oldest is paid first.
        (None, of_several((100, OFFER), (50, OFFER)), (146, 4)),
        (146, of_several((100, OFFER), (50, OFFER)), (146, 4)),
        (147, of_several((100, OFFER), (50, OFFER)), "over-amount"),
        (145, of_several((100, OFFER), (50, OFFER)), (145, 2)),
        (98, of_several((100, OFFER), (50, OFFER)), (98, 2)),
        (97, of_several((100, OFFER), (50, OFFER)), (97, 0)),
        (None, of_several((100, OFFER), (50, None)), (148, 2)),
        (149, of_several((100, OFFER), (50, None)), "over-amount"),
        (148, of_several((100, None), (50, OFFER)), (148, 2)),
        (147, of_several((100, None), (50, OFFER)), (147, 0)),
        (None, of_several((100, LATE), (50, OFFER), (2, OFFER), (3, OFFER)), (151, 4)),
        (148, of_several((100, LATE), (50, OFFER), (2, OFFER), (3, OFFER)), (148, 2)),
        (150, of_several((100, LATE), (50, OFFER), (2, OFFER), (3, OFFER)), (150, 2)),
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


OFFERS = st.none() | st.builds(
    Offer, st.just(1), st.integers(1, 20).map(lambda cents: cents * CENT), st.just(date(2026, 11, 3)),
    st.sampled_from([date(2026, 11, 5), TODAY]),
)  # fmt: skip
CHARGED = st.lists(st.tuples(AMOUNTS, OFFERS), max_size=5)
"""What an account's invoices added to what it owes, in cents, the oldest first, with their discounts."""
DAYS = st.sampled_from([date(2026, 11, 3), date(2026, 11, 6), TODAY, date(2026, 11, 14)])


def stands_after(charged: list[tuple[int, Offer | None]], came_in: int, pending: int, below: int) -> Standing:
    """The standing of an account, in cents."""
    due = (sum(cents for cents, _ in charged) - came_in) * CENT
    newest_first = [(number, cents * CENT, offered) for number, (cents, offered) in enumerate(charged, 1)][::-1]
    return Standing(due, pending * CENT, tuple(spread(due, newest_first)), below * CENT)


@given(st.none() | st.integers(1, 150), CHARGED, st.integers(0, 60), st.integers(0, 50), st.integers(0, 10), DAYS)
def test_what_is_accepted_never_makes_a_credit(
    asked: int | None, charged: list[tuple[int, Offer | None]], came_in: int, pending: int, below: int, today: date
) -> None:
    stands, asked = stands_after(charged, came_in, pending, below), asked and asked * CENT
    due = stands.due_micros
    offered = {number: offer for number, (_, offer) in enumerate(charged, 1) if offer}
    found = decide(asked, stands, today)
    if isinstance(found, Accepted):
        assert found.amount_micros > 0
        assert found.amount_micros + found.discount_micros <= due
        assert asked in (None, found.amount_micros)
        assert due > below * CENT
        assert sum(share.paid_micros for share in found.shares) == found.amount_micros
        assert sum(share.discount_micros for share in found.shares) == found.discount_micros
        for share in found.discounts:
            assert share.discount_micros == offered[share.invoice].amount_micros
            assert offered[share.invoice].is_in_time(today)
            assert found.last_on
            assert found.last_on <= offered[share.invoice].last_on
        assert (found.last_on is None) == (found.discount_micros == 0)
    else:
        most = sum(offer.amount_micros for offer in offered.values())
        assert asked is None or asked > due - most or due <= below * CENT
        assert (found.reason is Reason.PAYMENT_PENDING) <= (pending > 0)
        assert (found.reason is Reason.CREDIT_BALANCE) <= (due < 0)


@given(CHARGED, st.integers(0, 60), DAYS, st.integers(1, 150), st.integers(1, 150))
def test_who_pays_more_owes_less_and_gets_no_smaller_discount(
    charged: list[tuple[int, Offer | None]], came_in: int, today: date, one: int, other: int
) -> None:
    stands = stands_after(charged, came_in, 0, 0)
    less, more = (decide(cents * CENT, stands, today) for cents in sorted((one, other)))
    if isinstance(less, Accepted) and isinstance(more, Accepted):
        assert less.discount_micros <= more.discount_micros
        whole = decide(None, stands, today)
        assert isinstance(whole, Accepted)
        assert more.discount_micros <= whole.discount_micros
        assert whole.amount_micros + whole.discount_micros == stands.due_micros


@given(CHARGED, st.integers(0, 60), DAYS, st.data())
def test_in_whatever_parts_it_is_paid_the_discounts_are_those_of_invoices_that_one_part_clears(
    charged: list[tuple[int, Offer | None]], came_in: int, today: date, data: st.DataObject
) -> None:
    """Against a walk cent by cent: what one payment pays of the oldest open invoice, and of the next."""
    first = stands_after(charged, came_in, 0, 0)
    whole = decide(None, first, today)
    if isinstance(whole, Refused):
        return
    paid = data.draw(st.integers(1, whole.amount_micros // CENT)) * CENT
    found = decide(paid, first, today)
    assert isinstance(found, Accepted)
    rest, expected = paid, {}
    for one in first.invoices:
        offer = (
            one.offer
            if one.offer and one.offer.is_in_time(today) and one.offer.amount_micros < one.left_micros
            else None
        )
        let_go = offer.amount_micros if offer else 0
        if rest < one.left_micros - let_go:
            if rest:
                expected[one.invoice] = (rest, 0)
            break
        expected[one.invoice] = (one.left_micros - let_go, let_go)
        rest -= one.left_micros - let_go
    assert {share.invoice: (share.paid_micros, share.discount_micros) for share in found.shares} == expected


@given(CHARGED, st.integers(0, 100))
def test_what_is_owed_is_of_the_newest_invoices_as_if_the_oldest_were_paid_first(
    charged: list[tuple[int, Offer | None]], came_in: int
) -> None:
    stands = stands_after(charged, came_in, 0, 0)
    came_in -= sum(min(cents, 0) for cents, _ in charged)
    expected = {}
    for number, (cents, _) in enumerate(charged, 1):
        paid = min(max(cents, 0), came_in)
        came_in -= paid
        if max(cents, 0) > paid:
            expected[number] = (cents - paid) * CENT
    assert [(one.invoice, one.left_micros) for one in stands.invoices] == list(expected.items())


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
    old = of_one(23_090_100)
    shares = (Share(1, 23_090_000, 0),)
    assert decide(None, old, TODAY) == decide(23_090_000, old, TODAY) == Accepted(23_090_000, 0, shares)
    for asked in (23_090_100, 23_100_000):
        refused = decide(asked, old, TODAY)
        assert isinstance(refused, Refused)
        assert refused.words.startswith("the amount is above what is due, 23.09:")
    discount = Offer(1, 460_000, date(2026, 11, 3), TODAY)
    shares = (Share(1, 22_630_000, 460_000),)
    accepted = Accepted(22_630_000, 460_000, shares, TODAY)
    assert decide(22_630_000, of_one(23_090_100, discount), TODAY) == accepted
    left = decide(None, of_one(100), TODAY)
    assert isinstance(left, Refused)
    assert (left.reason, left.words[:38]) == (Reason.ZERO_BALANCE, "the total due, 0.0001, is too small to")


@pytest.mark.parametrize(
    ("currency", "due", "paid"),
    [("USD", 1_999_999, 1_990_000), ("JPY", 1_999_999, 1_000_000), ("KWD", 1_999_999, 1_999_000)],
)
def test_what_is_paid_by_default_can_be_paid(currency: str, due: int, paid: int) -> None:
    assert decide(None, of_one(due, None, currency), TODAY) == Accepted(paid, 0, (Share(1, paid, 0),))
