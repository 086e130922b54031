"""The SQL of what is provisioned: accounts, lines, and tariffs with all their versions."""

import sqlite3
import zlib
from collections.abc import Iterable
from typing import Final

import msgspec

from rating.account import Account, Line
from rating.store import snapshots
from rating.store.port import Provisioned
from rating.tariff import Tariff, TariffText

_ACCOUNT_COLUMNS: Final = tuple(Account.__struct_fields__)
ACCOUNT_COLUMNS: Final = ", ".join(_ACCOUNT_COLUMNS)
LINE_COLUMNS: Final = ", ".join(Line.__struct_fields__)


def provisioned(cx: sqlite3.Connection) -> Provisioned:
    """Everything that is provisioned."""
    return Provisioned(get_accounts(cx), get_lines(cx), tariffs_in_force(cx))


def put_accounts(cx: sqlite3.Connection, accounts: Iterable[Account], now: int) -> None:
    """Add accounts, or replace what is known of them (all but when they were opened).

    If the zone or cycle day of one has changed, the counters' snapshot has other periods than the account: it goes.
    """
    accounts = list(accounts)
    clocks = {
        account: (timezone, cycle_day)
        for account, timezone, cycle_day in cx.execute("SELECT account, timezone, cycle_day FROM accounts")
    }
    if any(clocks.get(a.account, (a.timezone, a.cycle_day)) != (a.timezone, a.cycle_day) for a in accounts):
        snapshots.discard(cx)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in _ACCOUNT_COLUMNS[1:])
    cx.executemany(
        f"INSERT INTO accounts (shard, opened_at, {', '.join(_ACCOUNT_COLUMNS)})"
        f" VALUES (0, ?, {', '.join('?' * len(_ACCOUNT_COLUMNS))})"
        f" ON CONFLICT (shard, account) DO UPDATE SET {assignments}",
        ((now, *(getattr(account, name) for name in _ACCOUNT_COLUMNS)) for account in accounts),
    )


def get_accounts(cx: sqlite3.Connection) -> list[Account]:
    """All accounts."""
    return [Account(*row) for row in cx.execute(f"SELECT {ACCOUNT_COLUMNS} FROM accounts")]


def has_account(cx: sqlite3.Connection, account: str) -> bool:
    """Whether an account exists."""
    return cx.execute("SELECT 1 FROM accounts WHERE shard = 0 AND account = ?", (account,)).fetchone() is not None


def put_lines(cx: sqlite3.Connection, lines: Iterable[Line]) -> None:
    """Add lines, or replace them by (line, service, from); a line's rows keep the order in which they first came."""
    (last,) = cx.execute("SELECT coalesce(max(position), 0) FROM lines").fetchone()
    cx.executemany(
        "INSERT INTO lines (shard, line, service, from_on, account, provider, switch, tariff, position)"
        " VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (shard, line, service, from_on) DO UPDATE SET"
        " account = excluded.account, provider = excluded.provider, switch = excluded.switch,"
        " tariff = excluded.tariff",
        (
            (li.line, li.service, li.from_on, li.account, li.provider, li.switch, li.tariff, last + index)
            for index, li in enumerate(lines, 1)
        ),
    )


def put_owners(cx: sqlite3.Connection, lines: Iterable[Line]) -> None:
    """Remember that accounts have lines, also when the lines' rows are replaced later: their calls stay theirs."""
    cx.executemany(
        "INSERT INTO line_owners VALUES (0, ?, ?) ON CONFLICT DO NOTHING", {(li.account, li.line) for li in lines}
    )


def get_lines(cx: sqlite3.Connection) -> list[Line]:
    """All lines, in the order of their files."""
    return [Line(*row) for row in cx.execute(f"SELECT {LINE_COLUMNS} FROM lines ORDER BY position")]


def add_tariff(cx: sqlite3.Connection, text: TariffText, tariff: Tariff, now: int) -> int:
    """Keep a version of a tariff; returns its id. The very text that is in force already is not added again."""
    deck = zlib.compress(text.deck.encode(), 6)
    newest = cx.execute(
        "SELECT id, toml, deck_zlib FROM tariffs WHERE name = ? AND valid_from_at IS ? ORDER BY id DESC LIMIT 1",
        (tariff.name, tariff.valid_from_at),
    ).fetchone()
    if newest and newest[1] == text.toml and zlib.decompress(newest[2]) == text.deck.encode():
        return int(newest[0])
    (number,) = cx.execute("SELECT coalesce(max(id), 0) + 1 FROM tariffs").fetchone()
    cx.execute(
        "INSERT INTO tariffs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number, tariff.name, tariff.valid_from_at, tariff.currency, tariff.decimals, now,
            text.toml_name, text.toml, text.deck_name, deck,
        ),
    )  # fmt: skip
    return int(number)


def tariffs_in_force(cx: sqlite3.Connection) -> list[tuple[int, TariffText]]:
    """The version that counts of each name and validity date."""
    return _texts(
        cx.execute(
            "SELECT id, toml, deck_zlib, toml_name, deck_name FROM tariffs"
            " WHERE id IN (SELECT max(id) FROM tariffs GROUP BY name, valid_from_at) ORDER BY id"
        )
    )


def get_tariff(cx: sqlite3.Connection, number: int) -> TariffText:
    """The texts of a version, whether still in force or not."""
    ((_, text),) = _texts(
        cx.execute("SELECT id, toml, deck_zlib, toml_name, deck_name FROM tariffs WHERE id = ?", (number,))
    )
    return text


def tariff_terms(cx: sqlite3.Connection) -> dict[int, tuple[str, str, int]]:
    """Of every version: name, currency and decimals."""
    # One row: each costs another wait for the interpreter lock beside a busy ingest.
    (rows,) = cx.execute("SELECT json_group_array(json_array(id, name, currency, decimals)) FROM tariffs").fetchone()
    return {number: (name, currency, decimals) for number, name, currency, decimals in msgspec.json.decode(rows)}


def _texts(rows: Iterable[tuple[int, str, bytes, str, str]]) -> list[tuple[int, TariffText]]:
    return [
        (number, TariffText(toml, zlib.decompress(deck).decode(), toml_name, deck_name))
        for number, toml, deck, toml_name, deck_name in rows
    ]
