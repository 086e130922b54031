"""The SQL of enrolments, bank details and agents' switches. What changes them runs in a store transaction of the
caller's."""

import sqlite3
from typing import Any, Final

import msgspec

from control.enrolment.bank_details import BankDetails, Scheme
from control.enrolment.enrolment import Change, Enrolment, Method, Notice, Switches
from rating.account import Account
from rating.store.provisioning import ACCOUNT_COLUMNS

_CHANGE: Final = ", ".join(f"c.{name}" for name in Change.__struct_fields__)
_MAIL: Final = "LEFT JOIN alerts m ON m.id = c.alert"


class Told(msgspec.Struct, frozen=True):
    """A change, as its agent sees it."""

    change: Change
    name: str
    """Of the account, as of now."""
    state: str | None
    """Of the mail: waiting, sending, sent, failed, dropped or unknown; None where there is none."""
    words: str
    """Why the mail stands so; may be empty."""


def enrolled_accounts(cx: sqlite3.Connection) -> set[str]:
    """All accounts that take e-billing."""
    return {account for (account,) in cx.execute("SELECT account FROM enrolments WHERE shard = 0 AND enrolled = 1")}


def enrolment_of(cx: sqlite3.Connection, account: str) -> Enrolment | None:
    """An account's enrolment; None for one that never was."""
    row = cx.execute(
        "SELECT account, enrolled, payment_method, at, actor FROM enrolments WHERE shard = 0 AND account = ?",
        (account,),
    ).fetchone()
    return None if row is None else Enrolment(row[0], bool(row[1]), Method(row[2]), row[3], row[4])


def put_enrolment(cx: sqlite3.Connection, enrolment: Enrolment) -> None:
    """Let it be so from now on."""
    cx.execute(
        "INSERT INTO enrolments (shard, account, enrolled, payment_method, at, actor) VALUES (0, ?, ?, ?, ?, ?)"
        " ON CONFLICT (shard, account) DO UPDATE SET enrolled = excluded.enrolled,"
        " payment_method = excluded.payment_method, at = excluded.at, actor = excluded.actor",
        (enrolment.account, enrolment.enrolled, enrolment.payment_method, enrolment.at, enrolment.actor),
    )


def set_method(cx: sqlite3.Connection, account: str, method: Method) -> None:
    """Pay another way; since when the account is enrolled stays."""
    cx.execute("UPDATE enrolments SET payment_method = ? WHERE shard = 0 AND account = ?", (method, account))


def next_change(cx: sqlite3.Connection) -> int:
    """The number of the next change."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM enrolment_changes").fetchone()
    return int(last) + 1


def add_change(cx: sqlite3.Connection, change: Change) -> None:
    """Write down an enrolment or cancellation."""
    cx.execute(
        "INSERT INTO enrolment_changes (shard, id, account, enrolled, at, actor, agent, notice, alert)"
        " VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            change.id, change.account, change.enrolled, change.at, change.actor, change.agent, change.notice,
            change.alert,
        ),
    )  # fmt: skip


def changes_for(cx: sqlite3.Connection, agent: str, *, limit: int, before: int | None = None) -> list[Told]:
    """What happened on an agent's watch, the newest first; an account that has another agent by now is theirs alone."""
    where, values = ("", ()) if before is None else (" AND c.id < ?", (before,))
    return _told(cx, f"AND a.agent = c.agent {_MAIL} WHERE c.agent = ?{where}", (agent, *values), limit)


def changes_of(cx: sqlite3.Connection, account: str, *, limit: int) -> list[Told]:
    """What happened to an account, whoever was its agent, the newest first."""
    return _told(cx, f"{_MAIL} WHERE c.shard = 0 AND c.account = ?", (account,), limit)


def _told(cx: sqlite3.Connection, which: str, values: tuple[Any, ...], limit: int) -> list[Told]:
    rows = cx.execute(
        f"SELECT {_CHANGE}, a.name, m.state, m.words FROM enrolment_changes c"  # noqa: S608  # names of columns, no values
        f" JOIN accounts a ON a.shard = 0 AND a.account = c.account {which} ORDER BY c.id DESC LIMIT ?",
        (*values, limit),
    )
    return [Told(_change(row), row[8], row[9], row[10] or "") for row in rows]


def bank_details_of(cx: sqlite3.Connection, account: str) -> BankDetails | None:
    """An account's bank details."""
    row = cx.execute(
        "SELECT scheme, holder, bank, ending FROM bank_details WHERE shard = 0 AND account = ?", (account,)
    ).fetchone()
    return None if row is None else BankDetails(Scheme(row[0]), *row[1:])


def put_bank_details(cx: sqlite3.Connection, account: str, details: BankDetails, at: int, actor: str) -> None:
    """Keep these in the place of others."""
    cx.execute(
        "INSERT INTO bank_details (shard, account, scheme, holder, bank, ending, at, actor)"
        " VALUES (0, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (shard, account) DO UPDATE SET scheme = excluded.scheme,"
        " holder = excluded.holder, bank = excluded.bank, ending = excluded.ending, at = excluded.at,"
        " actor = excluded.actor",
        (account, details.scheme, details.holder, details.bank, details.ending, at, actor),
    )


def drop_bank_details(cx: sqlite3.Connection, account: str) -> bool:
    """Forget an account's; whether there were any."""
    return cx.execute("DELETE FROM bank_details WHERE shard = 0 AND account = ?", (account,)).rowcount == 1


def switches_of(cx: sqlite3.Connection, agent: str) -> Switches:
    """Which mails an agent gets."""
    row = cx.execute("SELECT on_enrolment, on_cancellation FROM notice_switches WHERE agent = ?", (agent,)).fetchone()
    return Switches() if row is None else Switches(bool(row[0]), bool(row[1]))


def put_switches(cx: sqlite3.Connection, agent: str, switches: Switches) -> None:
    """Let an agent get these mails."""
    cx.execute(
        "INSERT INTO notice_switches (agent, on_enrolment, on_cancellation) VALUES (?, ?, ?)"
        " ON CONFLICT (agent) DO UPDATE SET on_enrolment = excluded.on_enrolment,"
        " on_cancellation = excluded.on_cancellation",
        (agent, switches.on_enrolment, switches.on_cancellation),
    )


def account_of(cx: sqlite3.Connection, number: str) -> Account | None:
    """An account as it is provisioned, read in the transaction that acts on it."""
    row = cx.execute(
        f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE shard = 0 AND account = ?",  # noqa: S608  # names of columns, no values
        (number,),
    ).fetchone()
    return Account.of(*row) if row else None


def _change(row: tuple[Any, ...]) -> Change:
    number, account, enrolled, at, actor, agent, notice, alert = row[:8]
    return Change(number, account, bool(enrolled), at, actor, agent, Notice(notice), alert)
