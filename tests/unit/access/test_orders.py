"""What may follow on what in the life of an order, and how long it waits."""

from collections.abc import Callable

import msgspec
import pytest

from access import orders
from access.barring import Answer, Holding, Outcome, Verdict
from access.orders import Action, Order, State
from tests.switch_by_hand import START, TARGET

NOW = START + 10_000_000
SECOND = 1_000_000

STEPS: dict[str, tuple[Callable[[Order], Order], dict[str, str]]] = {
    "held": (lambda o: orders.held(o, "breaker", NOW), {"planned": "held"}),
    "released": (lambda o: orders.released(o, "by ann", NOW), {"held": "planned"}),
    "cancelled": (
        lambda o: orders.cancelled(o, "paid", NOW),
        dict.fromkeys(("planned", "held", "acknowledged", "refused", "unknown"), "cancelled"),
    ),
    "replaced": (
        lambda o: orders.replaced(o, 9, NOW),
        dict.fromkeys(("planned", "held", "acknowledged", "refused", "unknown"), "cancelled"),
    ),
    "sent": (lambda o: orders.sent(o, NOW), dict.fromkeys(("planned", "acknowledged", "refused", "unknown"), "sent")),
    "acknowledged": (
        lambda o: orders.answered(o, Answer(Outcome.ACKNOWLEDGED, "ok"), NOW, 0.0),
        {"sent": "acknowledged"},
    ),
    "refused": (lambda o: orders.answered(o, Answer(Outcome.REFUSED, "no"), NOW, 0.0), {"sent": "refused"}),
    "not answered": (lambda o: orders.answered(o, Answer(Outcome.UNKNOWN, "?"), NOW, 0.0), {"sent": "unknown"}),
    "holds": (
        lambda o: orders.verified(o, Verdict(Holding.HOLDS, "so"), NOW, 0.0),
        {"acknowledged": "confirmed", "unknown": "confirmed"},
    ),
    "does not hold yet": (
        lambda o: orders.verified(o, Verdict(Holding.NOT_YET, "no"), NOW, 0.0),
        {"acknowledged": "acknowledged", "unknown": "unknown"},
    ),
    "could not be looked at": (
        lambda o: orders.verified(o, Verdict(Holding.UNKNOWN, "?"), NOW, 0.0),
        {"acknowledged": "acknowledged", "unknown": "unknown"},
    ),
    "recovered": (lambda o: orders.recovered(o, NOW), {"sent": "unknown"}),
    "lost": (lambda o: orders.lost(holding(o), "not barred", NOW, 0.0), {"confirmed": "unknown"}),
    "retried": (lambda o: orders.retried(o, "by ann", NOW), {"failed": "planned", "unknown": "unknown"}),
}


def holding(order: Order, since: int = START) -> Order:
    return msgspec.structs.replace(order, holds_since=since)


def an_order(state: State = State.PLANNED, **fields: object) -> Order:
    order = Order(
        id=1, account="4000012345", target=TARGET, action=Action.BAR, reason="over the limit", cause="firing 12",
        state=state, planned_at=START, due_at=START, next_at=None if state is State.SENT else START,
    )  # fmt: skip
    return msgspec.structs.replace(order, **fields)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", State)
def test_every_step_from_every_state_is_told_or_is_a_mistake_of_the_program(step: str, state: State) -> None:
    take, becomes = STEPS[step]
    if state in becomes:
        assert take(an_order(state)).state == becomes[state]
    else:
        with pytest.raises(AssertionError, match="order 1 is"):
            take(an_order(state))


@pytest.mark.parametrize("step", ["cancelled", "replaced"])
def test_what_was_sent_ahead_and_never_went_out_ends_as_if_it_had_not_been_sent(step: str) -> None:
    ahead = orders.sent_ahead(an_order(), START)
    assert (ahead.state, ahead.is_ahead, ahead.sent_at, ahead.tries) == ("sent", True, START, 1)
    ended = STEPS[step][0](ahead)
    assert (ended.state, ended.next_at, ended.sent_at, ended.tries) == ("cancelled", None, None, 0)


@pytest.mark.parametrize("step", ["acknowledged", "refused", "not answered", "recovered"])
def test_what_was_sent_ahead_is_answered_like_any_other(step: str) -> None:
    take = STEPS[step][0]
    sent = orders.sent(an_order(), START)
    assert not sent.is_ahead
    assert take(orders.sent_ahead(an_order(), START)) == take(sent)


def test_nothing_follows_on_an_end() -> None:
    assert {state for state in State if state not in orders.OPEN} == {State.CONFIRMED, State.CANCELLED, State.FAILED}


@pytest.mark.parametrize("state", [State.CONFIRMED, State.CANCELLED, State.FAILED])
def test_what_has_ended_says_when_and_is_not_acted_on_again(state: State) -> None:
    ended = {
        State.CONFIRMED: STEPS["holds"][0](an_order(State.UNKNOWN)),
        State.CANCELLED: STEPS["cancelled"][0](an_order()),
        State.FAILED: STEPS["refused"][0](an_order(State.SENT, refusals=orders.REFUSALS - 1)),
    }[state]
    assert (ended.state, ended.ended_at, ended.next_at) == (state, NOW, None)


def test_an_order_is_sent_again_after_refusals_with_growing_waits_and_then_given_up_with_the_switchs_words() -> None:
    order, waits = an_order(), []
    while order.is_open:
        order = orders.answered(orders.sent(order, NOW), Answer(Outcome.REFUSED, "table full"), NOW, 0.0)
        waits.append(order.next_at and order.next_at - NOW)
    assert waits == [SECOND, 2 * SECOND, 4 * SECOND, None]
    assert (order.state, order.words, order.tries) == (State.FAILED, "table full", 4)


def test_a_switch_that_does_not_answer_is_asked_for_ever_at_most_every_minute() -> None:
    order, waits = STEPS["not answered"][0](an_order(State.SENT)), []
    for _ in range(40):
        assert order.next_at is not None
        waits.append((order.next_at - NOW) // SECOND)
        order = STEPS["could not be looked at"][0](order)
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(waits[8:]) == {60}
    assert order.state is State.UNKNOWN


def test_an_order_without_an_answer_that_was_not_carried_out_is_sent_again_at_once() -> None:
    verdict = Verdict(Holding.NOT_YET, "not barred")
    after = orders.verified(an_order(State.UNKNOWN), verdict, NOW, 0.0)
    assert after.next_at == NOW
    assert orders.is_sent_again(after, verdict)


def test_an_acknowledged_order_is_looked_at_with_growing_waits_and_sent_again_now_and_then() -> None:
    order, waits, again = an_order(State.ACKNOWLEDGED), [], []
    verdict = Verdict(Holding.NOT_YET, "a call is up")
    for _ in range(12):
        order = orders.verified(order, verdict, NOW, 0.0)
        assert order.next_at is not None
        waits.append((order.next_at - NOW) / SECOND)
        again.append(orders.is_sent_again(order, verdict))
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert again == [False, False, False, True] * 3


def test_a_look_that_failed_sends_nothing() -> None:
    verdict = Verdict(Holding.UNKNOWN, "no answer")
    assert not orders.is_sent_again(orders.verified(an_order(State.UNKNOWN), verdict, NOW, 0.0), verdict)


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 8_000_000), (0.5, 7_200_000), (0.999, 6_401_600)])
def test_a_part_of_a_wait_is_chance(chance: float, wait: int) -> None:
    assert orders.wait_us(SECOND, 3, chance) == wait


def test_a_confirmed_bar_holds_its_target_and_a_restore_holds_none() -> None:
    for action, since in ((Action.BAR, NOW), (Action.RESTORE, None)):
        confirmed = STEPS["holds"][0](an_order(State.UNKNOWN, action=action))
        assert (confirmed.confirmed_at, confirmed.holds_since) == (NOW, since)


def test_a_bar_that_is_lost_is_looked_at_at_once_and_the_later_the_oftener_that_happens() -> None:
    order, waits, now = holding(an_order(State.CONFIRMED, confirmed_at=START, ended_at=START)), [], START
    for _ in range(10):
        order = orders.lost(order, "not barred", now, 0.0)
        assert (order.state, order.confirmed_at, order.ended_at, order.holds_since) == ("unknown", None, None, None)
        assert order.next_at is not None
        waits.append((order.next_at - now) // SECOND)
        now = order.next_at
        order = orders.verified(order, Verdict(Holding.HOLDS, "so"), now, 0.0)
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    after = orders.lost(order, "not barred", now + orders.LASTING_US, 0.0)
    assert (after.losses, after.next_at) == (1, now + orders.LASTING_US)


def test_one_that_failed_is_tried_again_as_often_as_at_first() -> None:
    order = an_order(State.FAILED, refusals=orders.REFUSALS, ended_at=START, next_at=None, words="table full")
    again = orders.retried(order, "by ann", NOW)
    assert (again.next_at, again.refusals, again.ended_at, again.words) == (NOW, 0, None, "by ann")
    waiting = an_order(State.UNKNOWN, next_at=NOW + 60 * SECOND, misses=40, words="no answer")
    again = orders.retried(waiting, "by ann", NOW)
    assert (again.next_at, again.misses, again.words) == (NOW, 0, "no answer")


def test_a_release_does_not_come_before_its_due_time() -> None:
    later = NOW + 5 * SECOND
    assert orders.released(an_order(State.HELD, due_at=later), "by ann", NOW).next_at == later
    assert orders.released(an_order(State.HELD), "by ann", NOW).next_at == NOW
