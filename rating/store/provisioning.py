"""The SQL of what is provisioned: accounts, lines, and tariffs with all their versions."""

import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from rating.account import Account, Line
from rating.store import snapshots
from rating.store.partitions import SEGMENT_BITS, id_ranges, last_id, table_of
from rating.store.port import Provisioned
from rating.tariff import Tariff, TariffText

_ACCOUNT_COLUMNS: Final = tuple(Account.__struct_fields__)
ACCOUNT_COLUMNS: Final = ", ".join(_ACCOUNT_COLUMNS)
LINE_COLUMNS: Final = ", ".join(Line.__struct_fields__)


_OF_RATING: Final = frozenset(
    {"account", "currency", "timezone", "credit_limit_micros", "tariff", "cycle_day", "segment"}
)
"""Columns of an account; the others say whose it is, and where to write to it."""


def provisioned(cx: sqlite3.Connection, *, for_rating: bool = False, with_lines: bool = True) -> Provisioned:
    """Everything that is provisioned; `for_rating`, accounts have no names and addresses."""
    accounts = get_accounts(cx, for_rating=for_rating)
    there = Provisioned(accounts, [], tariffs_in_force(cx), conversions(cx), get_favourites(cx))
    if with_lines:
        there.lines = get_lines(cx, {account.account: account.account for account in accounts})
    else:
        (there.numbers,) = cx.execute("SELECT count(DISTINCT line) FROM lines").fetchone()
    return there


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


def get_accounts(cx: sqlite3.Connection, *, for_rating: bool = False) -> list[Account]:
    """All accounts; `for_rating` without what rating does not need."""
    columns = ACCOUNT_COLUMNS
    if for_rating:
        left_out = {"name": "''"}
        columns = ", ".join(c if c in _OF_RATING else left_out.get(c, "NULL") for c in _ACCOUNT_COLUMNS)
    # Equal texts are one: of hundreds of thousands of accounts most share their currency, zone and tariff.
    same: dict[Any, Any] = {}
    once = same.setdefault
    return [
        Account(
            account, name, email, once(currency, currency), once(timezone, timezone), credit_limit,
            once(tariff, tariff), once(agent, agent), cycle_day, fax, pager, phone, once(language, language),
            once(segment, segment),
        )
        for (
            account, name, email, currency, timezone, credit_limit, tariff, agent, cycle_day, fax, pager, phone,
            language, segment,
        ) in cx.execute(f"SELECT {columns} FROM accounts")
    ]  # fmt: skip


def charged_otherwise(cx: sqlite3.Connection, accounts: Iterable[Account]) -> dict[str, str]:
    """Those of some accounts that have transactions in another currency than the one they are given here, with it."""
    known = dict(cx.execute("SELECT account, currency FROM accounts"))
    changed = [a.account for a in accounts if known.get(a.account, a.currency) != a.currency]
    return {account: known[account] for account in changed if _has_transactions(cx, account)}


def _has_transactions(cx: sqlite3.Connection, account: str) -> bool:
    """By the index on lines: there is none on accounts."""
    owned = cx.execute("SELECT line FROM line_owners WHERE shard = 0 AND account = ?", (account,)).fetchall()
    for month, first, last in id_ranges(cx, last_id(cx)):
        table = table_of(month)
        sql = (
            f"SELECT 1 FROM {table} INDEXED BY {table}_line"  # names of ours
            f" WHERE (id >> {SEGMENT_BITS}) = ? AND line = ? AND account = ? LIMIT 1"
        )
        for segment in range(first >> SEGMENT_BITS, (last >> SEGMENT_BITS) + 1):
            if any(cx.execute(sql, (segment, line, account)).fetchone() for (line,) in owned):
                return True
    return False


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


def put_favourites(cx: sqlite3.Connection, favourites: Mapping[str, Sequence[str]]) -> None:
    """Replace the favourite numbers of these accounts; those of others stay."""
    cx.executemany("DELETE FROM favourites WHERE shard = 0 AND account = ?", [(account,) for account in favourites])
    cx.executemany(
        "INSERT INTO favourites VALUES (0, ?, ?, ?)",
        [
            (account, number, place)
            for account, numbers in favourites.items()
            for place, number in enumerate(numbers, start=1)
        ],
    )


def get_favourites(cx: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """The favourite numbers of all accounts that have some, in the order of their file."""
    found: dict[str, list[str]] = {}
    for account, number in cx.execute("SELECT account, number FROM favourites ORDER BY account, position"):
        found.setdefault(account, []).append(number)
    return {account: tuple(numbers) for account, numbers in found.items()}


def get_lines(cx: sqlite3.Connection, numbers: Mapping[str, str]) -> list[Line]:
    """All lines, in the order of their files. `numbers`: those of accounts, as the accounts have them."""
    same: dict[Any, Any] = {}  # as above
    once = same.setdefault
    return [
        Line(
            line, once(service, service), once(from_on, from_on), numbers.get(account, account),
            once(provider, provider), once(switch, switch), once(tariff, tariff),
        )
        for line, service, from_on, account, provider, switch, tariff in cx.execute(
            f"SELECT {LINE_COLUMNS} FROM lines ORDER BY position"
        )
    ]  # fmt: skip


def add_tariff(cx: sqlite3.Connection, text: TariffText, tariff: Tariff, now: int) -> int:
    """Keep a version of a tariff; returns its id. The very text that is in force already is not added again.

    For each currency to which it states a conversion it has a further row, so that the tariff of a transaction says
    the currency of its charge too.
    """
    deck = zlib.compress(text.deck.encode(), 6)
    newest = cx.execute(
        "SELECT id, toml, deck_zlib FROM tariffs WHERE name = ? AND valid_from_at IS ? AND base_id IS NULL"
        " ORDER BY id DESC LIMIT 1",
        (tariff.name, tariff.valid_from_at),
    ).fetchone()
    if newest and newest[1] == text.toml and zlib.decompress(newest[2]) == text.deck.encode():
        return int(newest[0])
    (number,) = cx.execute("SELECT coalesce(max(id), 0) + 1 FROM tariffs").fetchone()
    cx.execute(
        "INSERT INTO tariffs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
        (
            number, tariff.name, tariff.valid_from_at, tariff.currency, tariff.decimals, now,
            text.toml_name, text.toml, text.deck_name, deck,
        ),
    )  # fmt: skip
    cx.executemany(
        "INSERT INTO tariffs VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, x'', ?, ?)",
        [
            (
                number + further, tariff.name, tariff.valid_from_at, currency, tariff.decimals, now,
                text.toml_name, text.deck_name, number, f"{rate:f}",
            )
            for further, (currency, rate) in enumerate(tariff.conversion, start=1)
        ],
    )  # fmt: skip
    return int(number)


def tariffs_in_force(cx: sqlite3.Connection) -> list[tuple[int, TariffText]]:
    """The version that counts of each name and validity date."""
    return _texts(
        cx.execute(
            f"SELECT id, toml, deck_zlib, toml_name, deck_name FROM tariffs WHERE id IN ({_IN_FORCE}) ORDER BY id"
        )
    )


_IN_FORCE: Final = "SELECT max(id) FROM tariffs WHERE base_id IS NULL GROUP BY name, valid_from_at"


def conversions(cx: sqlite3.Connection) -> dict[int, dict[str, int]]:
    """Of the versions that count and state conversions: the row of each currency."""
    found: dict[int, dict[str, int]] = {}
    for base, currency, number in cx.execute(
        f"SELECT base_id, currency, id FROM tariffs WHERE base_id IN ({_IN_FORCE}) ORDER BY id"
    ):
        found.setdefault(base, {})[currency] = number
    return found


def get_tariff(cx: sqlite3.Connection, number: int) -> TariffText:
    """The texts of a version, whether still in force or not."""
    ((_, text),) = _texts(
        cx.execute(
            "SELECT id, toml, deck_zlib, toml_name, deck_name FROM tariffs"
            " WHERE id = (SELECT coalesce(base_id, id) FROM tariffs WHERE id = ?)",
            (number,),
        )
    )
    return text


def currency_of(cx: sqlite3.Connection, number: int) -> str:
    """The currency of the charges by a version, or by its conversion to another one."""
    ((currency,),) = cx.execute("SELECT currency FROM tariffs WHERE id = ?", (number,))
    return str(currency)


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
