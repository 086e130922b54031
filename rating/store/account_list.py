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


def find_accounts(
    cx: sqlite3.Connection, words: str, after: str, limit: int, agent: str | None = None, there_are: int | None = None
) -> AccountPage:
    """The accounts that hold every one of the words, in number, name, e-mail or agent, or that have the line; those of
    an agent only, where one is given. `there_are` so many in all, if that is known: counting reads every one."""
    conditions, values = _conditions(words)
    if agent is not None:
        conditions.append("agent = ?")
        values.append(agent)
    matching, some, number = "", "accounts WHERE shard = 0", "NULL"
    if conditions:
        # Looked at once: of a hundred thousand accounts, every further look takes its time.
        where = " AND ".join(("shard = 0", *conditions))
        matching = f"WITH matching AS MATERIALIZED (SELECT account FROM accounts WHERE {where}) "
        some, number = "matching WHERE true", "(SELECT count(*) FROM matching)"
    # One row: each costs another wait for the interpreter lock beside a busy ingest.
    text, number_of_matching, number_of_all = cx.execute(
        f"{matching}SELECT (SELECT json_group_array(json_array({ACCOUNT_COLUMNS})) FROM"
        f" (SELECT * FROM accounts WHERE shard = 0 AND account IN (SELECT account FROM {some} AND account > ?"
        f" ORDER BY account LIMIT ?) ORDER BY account)), {number},"
        " coalesce(?, (SELECT count(*) FROM accounts WHERE shard = 0))",
        (*values, after, limit + 1, there_are),
    ).fetchone()
    found = [Account.of(*row) for row in msgspec.json.decode(text)]
    accounts = found[:limit]
    return AccountPage(
        accounts,
        accounts[-1].account if len(found) > limit else None,
        number_of_matching if conditions else number_of_all,
        number_of_all,
    )


def _conditions(words: str) -> tuple[list[str], list[str]]:
    """A condition for each word, and what is bound in them."""
    conditions: list[str] = []
    values: list[str] = []
    # Those that few accounts hold first: numbers before names, long ones before short ones.
    for word in sorted(words.split()[:8], key=lambda word: (word.isalpha(), -len(word))):
        number = to_e164(word)
        if number and number.isdigit() and len(number) >= _DIGITS_OF_A_LINE:
            # So many digits are an account's number, its beginning, or a line's: no need to read every name.
            sql = "account >= ? AND account < ? OR account IN (SELECT account FROM lines WHERE shard = 0 AND line = ?)"
            values += [number, number[:-1] + chr(ord(number[-1]) + 1), number]
        else:
            like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            sql = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in ("account", "name", "email", "agent"))
            values += [like] * 4
        conditions.append(f"({sql})")
    return conditions, values


def lines_with_services(cx: sqlite3.Connection, account: str) -> list[Line]:
    """An account's lines with their services, in the order of their import."""
    (text,) = cx.execute(
        f"SELECT json_group_array(json_array({LINE_COLUMNS})) FROM"
        # Without statistics SQLite would take the primary key, and read the lines of all accounts.
        " (SELECT * FROM lines INDEXED BY lines_by_account WHERE shard = 0 AND account = ? ORDER BY position)",
        (account,),
    ).fetchone()
    return [Line(*row) for row in msgspec.json.decode(text)]
