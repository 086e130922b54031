"""What control and the dispatcher may do with orders in a transaction, and what is undone when a bar is dropped."""

import pytest

from access import order_rows, orders, planning
from access.barring import Answer, Holding, Outcome, Verdict
from access.orders import Action, Order, State
from access.target import Target
from tests.switch_by_hand import SECOND, START, TARGET, Site

OTHER = Target("kam1", "12125550143", "long-distance")
HOLDS = Verdict(Holding.HOLDS, "so it is")
NO_ANSWER = Answer(Outcome.UNKNOWN, "no answer")


class History(Site):
    """Orders of one target, taken through their states by hand, a second after each other."""

    def take(self, word: str) -> None:
        """`bar` and `restore` plan one; the other words act on the newest, or on the one whose number is given."""
        self.time.now += SECOND
        word, _, number = word.partition(" ")
        if word in ("bar", "restore"):
            self.plan(Action(word))
            return
        order = order_rows.order_of(self.store.cx, int(number or len(self.orders())))
        assert order is not None
        if word == "sent":
            assert self.change(planning.send, order, self.time.now)
            self.take(f"unanswered {order.id}")
        elif word == "withdrawn":
            self.change(planning.withdraw, order, "not wanted", self.time.now)
        elif word == "dropped":
            self.change(planning.cancel, [order.id], "by ann", self.time.now)
        else:
            after = {
                "unanswered": lambda: orders.answered(order, NO_ANSWER, self.time.now, 0.0),
                "confirmed": lambda: orders.verified(order, HOLDS, self.time.now, 0.0),
            }[word]()
            assert self.change(planning.change, order, after)

    def change(self, *work: object) -> list[Order]:
        changed: list[Order] = self.store.at_once(*work)  # type: ignore[arg-type]  # a function and its arguments
        return changed

    def _write(self, *_: object) -> None:
        """Nobody is told."""


@pytest.mark.parametrize(
    ("words", "is_undone"),
    [
        ("bar, dropped", False),
        ("bar, sent, withdrawn", True),
        ("restore, sent, confirmed, bar, sent, withdrawn", True),
        # It was barred before, and rightly.
        ("bar, sent, confirmed, bar, sent, withdrawn", False),
        ("bar, sent, confirmed, bar, dropped", False),
        # It was barred, was to be restored, and the bar that is dropped took the restore's place.
        ("bar, sent, confirmed, restore, bar, sent, withdrawn", True),
        # That was before another bar, which was confirmed and stands.
        ("bar, sent, confirmed, restore, bar, bar, sent 3, sent 4, confirmed 4, withdrawn 3", False),
        # What was restored since is free.
        ("bar, sent, restore, sent, confirmed, bar, dropped", False),
        ("bar, sent, bar, withdrawn 1, restore, sent 3, confirmed 3, bar, dropped 4", False),
        # While another bar is on its way, that one says how it ends; when the last is dropped it is undone.
        ("bar, sent, bar, withdrawn 1", False),
        ("bar, sent, bar, withdrawn 1, dropped 2", True),
        ("bar, bar, sent 2, withdrawn 2", False),
        ("bar, bar, sent 2, withdrawn 2, withdrawn 1", True),
        # A restore is on its way already.
        ("bar, sent, restore, withdrawn 1", False),
        # A restore that is not wanted bars nobody.
        ("restore, sent, withdrawn", False),
        ("restore, dropped", False),
    ],
)
def test_a_dropped_bar_is_undone_if_it_alone_may_have_barred(words: str, is_undone: bool) -> None:
    history = History()
    for word in words.split(", "):
        history.take(word)
    undoing = [order for order in history.orders() if order.reason == planning.UNDONE]
    assert [(order.action, order.state) for order in undoing] == ([("restore", "planned")] if is_undone else [])


@pytest.mark.parametrize(
    ("words", "barring"),
    [
        ("bar", None),
        ("bar, dropped", None),
        ("bar, sent", 1),
        ("bar, sent, confirmed", 1),
        ("bar, sent, confirmed, restore", None),
        ("bar, sent, confirmed, restore, dropped", 1),
        ("bar, sent, confirmed, restore, sent, confirmed", None),
        ("bar, sent, confirmed, restore, sent, confirmed, bar, sent", 3),
    ],
)
def test_what_may_bar_is_what_a_restore_is_still_to_be_planned_for(words: str, barring: int | None) -> None:
    history = History()
    for word in words.split(", "):
        history.take(word)
    found = order_rows.may_bar(history.store.cx, "4000012345", TARGET, history.time.now)
    assert (found and found.id) == barring
    assert order_rows.may_bar(history.store.cx, "4000099999", TARGET, history.time.now) is None
    assert order_rows.may_bar(history.store.cx, "4000012345", OTHER, history.time.now) is None


def served(most_sent: int = 2) -> History:
    history = History()
    history.change(planning.recover, {"kam1": most_sent}, START)
    return history


def test_an_order_is_sent_ahead_where_its_switch_is_served_and_its_target_free() -> None:
    site = served()
    order = site.plan(Action.BAR)
    assert order.is_ahead
    assert (order.next_at, order.sent_at) == (START, START)
    assert order_rows.order_of(site.store.cx, order.id) == order
    assert site.plan(Action.RESTORE).state is State.PLANNED, "its target is not free"
    assert site.plan(Action.BAR, Target("kam2", "12125550142", "fax")).state is State.PLANNED, "not served"
    assert site.plan(Action.BAR, OTHER, held="breaker").state is State.HELD
    assert site.plan(Action.BAR, OTHER).state is State.PLANNED, "its target is not free"
    fax, modem = Target("kam1", "12125550144", "fax"), Target("kam1", "12125550144", "modem")
    assert site.plan(Action.BAR, fax, due_at=START + 1).state is State.PLANNED
    assert site.plan(Action.BAR, modem).is_ahead


def test_an_order_supersedes_the_opposite_one_that_is_in_its_way_and_no_other() -> None:
    site = served()
    site.plan(Action.BAR, held="breaker")
    site.plan(Action.BAR, due_at=START + 1)
    assert site.plan(Action.RESTORE).supersedes is None
    assert site.plan(Action.BAR).supersedes == 3


def test_no_more_orders_are_sent_ahead_than_their_switch_has_room_for() -> None:
    site = served()
    targets = [Target("kam1", f"1212555{n:04}", "fax") for n in range(4)]
    planned = [site.plan(Action.BAR, target) for target in targets[:3]]
    assert [order.state for order in planned] == ["sent", "sent", "planned"]
    site.change(planning.change, planned[0], orders.answered(planned[0], NO_ANSWER, START, 0.0))
    assert site.plan(Action.BAR, targets[3]).is_ahead
    site.change(planning.recover, {}, START)
    assert not site.plan(Action.BAR).is_ahead


def test_a_bar_is_looked_after_no_more_when_its_restore_is_sent_ahead() -> None:
    site = served()
    for word in ("bar", "unanswered", "confirmed"):
        site.take(word)
    assert [order.holds_since for order in site.orders()] == [site.time.now]
    assert site.plan(Action.RESTORE).is_ahead
    assert [order.holds_since for order in site.orders()] == [None, None]


def test_a_bar_that_was_sent_ahead_and_gives_way_to_a_restore_was_never_sent() -> None:
    site = served()
    for word in ("bar", "restore", "sent 2"):
        site.take(word)
    bar, restore = site.orders()
    assert (bar.state, bar.sent_at, bar.replaced_by, restore.supersedes) == ("cancelled", None, restore.id, bar.id)


def test_an_order_that_somebody_else_changed_is_not_written_over() -> None:
    site = Site()
    order = site.plan(Action.BAR)
    site.store.at_once(planning.cancel, [order.id], "paid", START)
    assert site.store.at_once(planning.send, order, START) == []
    assert site.store.at_once(planning.change, order, orders.remarked(order, "late")) == []
    assert site.store.at_once(planning.withdraw, order, "late", START) == []
    assert site.states() == ["cancelled"]


def test_only_what_was_not_sent_can_be_cancelled_held_or_released() -> None:
    site = Site()
    planned, held = site.plan(Action.BAR), site.plan(Action.BAR, OTHER, held="breaker")
    out = site.plan(Action.BAR, Target("kam1", "12125550144", "fax"))
    site.store.at_once(planning.send, out, START)
    numbers = [planned.id, held.id, out.id, 999]
    now = site.time.now
    assert [o.id for o in site.store.at_once(planning.release, numbers, "by ann", now)] == [held.id]
    assert [o.id for o in site.store.at_once(planning.hold, numbers, "breaker", now)] == [planned.id, held.id]
    assert [o.id for o in site.store.at_once(planning.cancel, numbers, "paid", now)] == [planned.id, held.id]
    assert site.states() == ["cancelled", "cancelled", "sent"]
    places = [order.target for order in (planned, held, out)]
    barring = [order_rows.may_bar(site.store.cx, "4000012345", target, now) for target in places]
    assert [order and order.id for order in barring] == [None, None, out.id]


def test_orders_are_listed_by_account_and_state_in_pages() -> None:
    site = Site()
    mine = [site.plan(Action.BAR, Target("kam1", f"1212555{n:04}", "fax")) for n in range(5)]
    site.plan(Action.BAR, OTHER, account="4000099999")
    site.store.at_once(planning.cancel, [mine[1].id], "by ann", START)
    cx = site.store.cx
    assert [o.id for o in order_rows.listed(cx, account="4000012345", limit=2)] == [5, 4]
    assert [o.id for o in order_rows.listed(cx, account="4000012345", before=4)] == [3, 2, 1]
    assert [o.id for o in order_rows.listed(cx, states=[State.CANCELLED])] == [2]
    assert order_rows.listed(cx, account="4000012345", before=4, limit=1)[0] == mine[2]
