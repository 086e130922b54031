"""The SQL of the list of accounts: found by number, name, e-mail, agent or line, a page at a time."""

import sqlite3
from typing import Final

import msgspec

from rating.account import Account, Line
from rating.numbering import to_e164
from rating.store.provisioning import ACCOUNT_COLUMNS, LINE_COLUMNS

_DIGITS_OF_A_LINE: Final = 7


class AccountPage(msgspec.Struct):
    """Some accounts, by number."""

    accounts: list[Account]
    next: str | None
    """The number after which the next page begins."""
    matching: int
    """Accounts that match, on all pages."""
    all: int


def find_accounts(cx: sqlite3.Connection, words: str, after: str, limit: int, agent: str | None = None) -> AccountPage:
    """The accounts that hold every one of the words, in number, name, e-mail or agent, or that have the line; those of
    an agent only, where one is given."""
    where, values = ["shard = 0"], []
    for word in words.split()[:8]:
        like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        sql = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in ("account", "name", "email", "agent"))
        values += [like] * 4
        number = to_e164(word)
        if number and len(number) >= _DIGITS_OF_A_LINE:
            sql += " OR account IN (SELECT account FROM lines WHERE shard = 0 AND line = ?)"
            values.append(number)
        where.append(f"({sql})")
    if agent is not None:
        where.append("agent = ?")
        values.append(agent)
    condition = " AND ".join(where)
    rows = cx.execute(
        f"SELECT {ACCOUNT_COLUMNS} FROM accounts WHERE {condition} AND account > ? ORDER BY account LIMIT ?",
        (*values, after, limit + 1),
    ).fetchall()
    (matching,) = cx.execute(f"SELECT count(*) FROM accounts WHERE {condition}", values).fetchone()
    (number_of_all,) = cx.execute("SELECT count(*) FROM accounts WHERE shard = 0").fetchone()
    accounts = [Account(*row) for row in rows[:limit]]
    return AccountPage(accounts, accounts[-1].account if len(rows) > limit else None, matching, number_of_all)


def lines_with_services(cx: sqlite3.Connection, account: str) -> list[Line]:
    """An account's lines with their services, in the order of their import."""
    rows = cx.execute(f"SELECT {LINE_COLUMNS} FROM lines WHERE shard = 0 AND account = ? ORDER BY position", (account,))
    return [Line(*row) for row in rows]
