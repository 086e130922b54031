"""The outbox's table: queued once, sent by state, and no change of state but those that are meant."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from control.alerts import (
    PROVIDER,
    BarConfirmed,
    Enrolled,
    EnrolmentCancelled,
    Fired,
    LimitRaised,
    Medium,
    Occasion,
    Restored,
    State,
)
from control.alerts import alert_rows as rows
from control.alerts.alert import NOT_SENT_YET, Alert, Finding, is_mailbox
from mediation.schema import all_migrations
from rating.store.migrations import migrate
from tests.builders import NOW, an_account

FIRED = Fired("LD over credit limit", NOW, (Finding("charges", 12, 10, "at_least", "month", "long-distance", "x"),))
OCCASIONS = (
    FIRED, LimitRaised("LD", NOW, 1, 2), BarConfirmed("LD", NOW, FIRED.findings), Restored("a payment", NOW),
    Enrolled("agnes", NOW), EnrolmentCancelled("agnes", NOW),
)  # fmt: skip


@pytest.fixture
def cx() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as cx:
        migrate(cx, all_migrations(), NOW)
        yield cx


def queue(cx: sqlite3.Connection, occasion: Occasion = FIRED, **values: Any) -> int | None:
    given: dict[str, Any] = {"by": Medium.EMAIL, "to": "a@b.example", "cause": "firing 1", "now": NOW, "firing": 1}
    return rows.queue(cx, values.pop("account", an_account()), occasion, **given | values)


def stored(cx: sqlite3.Connection, number: int | None) -> Alert:
    assert number is not None
    alert = rows.get(cx, number)
    assert alert is not None
    return alert


@pytest.mark.parametrize("occasion", OCCASIONS, ids=lambda occasion: type(occasion).__name__)
def test_what_was_queued_is_read_back(cx: sqlite3.Connection, occasion: Occasion) -> None:
    alert = stored(cx, queue(cx, occasion))
    assert alert.facts == occasion
    assert (alert.state, alert.recipient, alert.firing, alert.tries) == (State.WAITING, "a@b.example", 1, 0)
    assert (alert.at, alert.due_at, alert.sent_at, alert.words) == (NOW, NOW, None, "")


def test_an_alert_is_queued_once_for_its_cause_kind_medium_and_recipient(cx: sqlite3.Connection) -> None:
    assert queue(cx) == 1
    assert queue(cx, now=NOW + 1) is None
    others: list[dict[str, Any]] = [
        {"cause": "firing 1/2"},
        {"occasion": OCCASIONS[1]},
        {"by": Medium.WEBHOOK},
        {"to": "c@d.example"},
    ]
    for number, other in enumerate(others, 2):
        assert queue(cx, **other) == number
        assert queue(cx, **other) is None
    assert [alert.state for alert in rows.alerts(cx, limit=9)] == [State.WAITING] * 5


@pytest.mark.parametrize(
    ("medium", "recipient"),
    [
        (Medium.EMAIL, "ada@customers.example"),
        (Medium.FAX, "12125550100"),
        (Medium.PAGE, "77"),
        (Medium.VOICEMAIL, "12125550142"),
    ],
)
def test_without_an_address_it_goes_to_the_accounts_own_contact(
    cx: sqlite3.Connection, medium: Medium, recipient: str
) -> None:
    account = an_account(email="ada@customers.example", fax="12125550100", pager="77", phone="12125550142")
    assert stored(cx, queue(cx, by=medium, to=None, account=account)).recipient == recipient


@pytest.mark.parametrize("medium", Medium)
def test_who_cannot_be_reached_is_shown_and_not_waited_for(cx: sqlite3.Connection, medium: Medium) -> None:
    alert = stored(cx, queue(cx, by=medium, to=None))
    assert alert.state is State.DROPPED
    assert "has no" in alert.words or "names no address" in alert.words
    assert rows.due(cx, NOW, 10, provider=True) == []


@pytest.mark.parametrize("medium", set(Medium) - {Medium.EMAIL})
def test_other_media_wait_and_say_why(cx: sqlite3.Connection, medium: Medium) -> None:
    alert = stored(cx, queue(cx, by=medium, to="1"))
    assert (alert.state, alert.words) == (State.WAITING, NOT_SENT_YET)
    assert rows.due(cx, NOW, 10, provider=True) == []
    assert rows.next_due_at(cx, provider=True) is None


def test_due_is_what_waits_for_mail_the_longest_first(cx: sqlite3.Connection) -> None:
    for number, due_at in enumerate((NOW + 2, NOW, NOW + 1, NOW + 3), 1):
        queue(cx, cause=f"firing {number}", now=due_at)
    assert [alert.id for alert in rows.due(cx, NOW + 2, 10, provider=False)] == [2, 3, 1]
    assert [alert.id for alert in rows.due(cx, NOW + 2, 2, provider=False)] == [2, 3]
    assert rows.next_due_at(cx, provider=False) == NOW
    assert rows.due(cx, NOW - 1, 10, provider=False) == []


def test_the_providers_own_wait_until_it_is_known_where_they_go(cx: sqlite3.Connection) -> None:
    queue(cx, to=PROVIDER)
    assert rows.due(cx, NOW, 10, provider=False) == []
    assert rows.next_due_at(cx, provider=False) is None
    assert len(rows.due(cx, NOW, 10, provider=True)) == 1
    assert rows.next_due_at(cx, provider=True) == NOW


CHANGES: dict[str, tuple[Callable[[sqlite3.Connection], object], set[State], State]] = {
    "begin": (lambda cx: rows.begin_sending(cx, 1), {State.WAITING}, State.SENDING),
    "sent": (lambda cx: rows.set_sent(cx, 1, NOW, "250"), {State.SENDING}, State.SENT),
    "unknown": (lambda cx: rows.set_unknown(cx, 1, "?"), {State.SENDING}, State.UNKNOWN),
    "failed": (lambda cx: rows.set_failed(cx, 1, "550"), {State.WAITING, State.SENDING}, State.FAILED),
    "postponed": (lambda cx: rows.postpone(cx, 1, NOW + 9, "450"), {State.WAITING, State.SENDING}, State.WAITING),
    "interrupted": (lambda cx: rows.set_interrupted(cx, "?"), {State.SENDING}, State.UNKNOWN),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", CHANGES)
def test_a_state_changes_only_as_meant(cx: sqlite3.Connection, name: str, state: State) -> None:
    change, from_, to = CHANGES[name]
    queue(cx)
    cx.execute("UPDATE alerts SET state = ?", (state,))
    before = stored(cx, 1)
    changed = change(cx)
    assert bool(changed) is (state in from_)
    if state in from_:
        assert stored(cx, 1).state is to
    else:
        assert stored(cx, 1) == before


def test_tries_are_counted(cx: sqlite3.Connection) -> None:
    queue(cx)
    rows.postpone(cx, 1, NOW + 60, "450 busy")
    waiting = stored(cx, 1)
    assert (waiting.tries, waiting.due_at, waiting.words) == (1, NOW + 60, "450 busy")
    rows.begin_sending(cx, 1)
    rows.set_sent(cx, 1, NOW + 100, "250 ok")
    sent = stored(cx, 1)
    assert (sent.tries, sent.sent_at, sent.words) == (2, NOW + 100, "250 ok")


def test_a_list_is_by_account_state_and_firing_the_newest_first(cx: sqlite3.Connection) -> None:
    other = an_account("4000099999")
    for number in range(1, 5):
        queue(cx, cause=f"firing {number}", firing=number, account=other if number == 2 else an_account())
    rows.set_failed(cx, 3, "550")

    def found(**values: Any) -> list[int]:
        return [alert.id for alert in rows.alerts(cx, limit=values.pop("limit", 10), **values)]

    assert found() == [4, 3, 2, 1]
    assert found(limit=2) == [4, 3]
    assert found(before=3) == [2, 1]
    assert found(account=other.account) == [2]
    assert found(state=State.FAILED) == [3]
    assert found(firing=4) == [4]
    assert found(account=other.account, firing=4) == []


@pytest.mark.parametrize("address", ["a@b", "ada+bills@mail.example", "o'hara@x.example", "a.b@c"])
def test_addresses_that_mail_servers_take(address: str) -> None:
    assert is_mailbox(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b\r\nDATA",
        "a@b>\r\n",
        "<a@b>",
        "zoë@b",
        "a@b,c@d",
        '"a b"@c',
        "a@b\x00",
    ],
    ids=ascii,
)
def test_addresses_that_would_be_something_else_in_a_command(address: str) -> None:
    assert not is_mailbox(address)
