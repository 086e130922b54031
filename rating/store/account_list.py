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
    matching, some = "", "accounts WHERE shard = 0"
    if len(where) > 1:
        # Looked at once: of a hundred thousand accounts, every further look takes its time.
        matching = f"WITH matching AS MATERIALIZED (SELECT account FROM accounts WHERE {' AND '.join(where)}) "
        some = "matching WHERE true"
    # One row: each costs another wait for the interpreter lock beside a busy ingest.
    text, number_of_matching, number_of_all = cx.execute(
        f"{matching}SELECT (SELECT json_group_array(json_array({ACCOUNT_COLUMNS})) FROM"
        f" (SELECT * FROM accounts WHERE shard = 0 AND account IN (SELECT account FROM {some} AND account > ?"
        f" ORDER BY account LIMIT ?) ORDER BY account)), (SELECT count(*) FROM {some}),"
        " (SELECT count(*) FROM accounts WHERE shard = 0)",
        (*values, after, limit + 1),
    ).fetchone()
    rows = msgspec.json.decode(text)
    accounts = [Account(*row) for row in rows[:limit]]
    return AccountPage(accounts, accounts[-1].account if len(rows) > limit else None, number_of_matching, number_of_all)


def lines_with_services(cx: sqlite3.Connection, account: str) -> list[Line]:
    """An account's lines with their services, in the order of their import."""
    (text,) = cx.execute(
        f"SELECT json_group_array(json_array({LINE_COLUMNS})) FROM"
        " (SELECT * FROM lines WHERE shard = 0 AND account = ? ORDER BY position)",
        (account,),
    ).fetchone()
    return [Line(*row) for row in msgspec.json.decode(text)]
