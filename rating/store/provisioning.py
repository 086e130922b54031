"""The SQL of what is provisioned: accounts, lines, and tariffs with all their versions."""

import contextlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

import msgspec

from rating.account import COLUMNS, Account, AccountTerms, Line, contact_of
from rating.line_services import LineService, LineServices
from rating.store import snapshots
from rating.store.partitions import SEGMENT_BITS, id_ranges, last_id, table_of
from rating.store.provisioned import Provisioned
from rating.tariff import Tariff, TariffText

ACCOUNT_COLUMNS: Final = ", ".join(COLUMNS)
LINE_COLUMNS: Final = ", ".join(Line.__struct_fields__)


def provisioned(
    cx: sqlite3.Connection, *, with_lines: bool = True, known: Mapping[str, Account] | None = None
) -> Provisioned:
    """Everything that is provisioned; without lines, how many numbers have some. Accounts that are as they are `known`
    are those very ones."""
    with at_one_moment(cx):
        there = Provisioned(get_accounts(cx, known), [], tariffs_in_force(cx), conversions(cx), get_favourites(cx))
        if with_lines:
            there.lines = list(get_lines(cx, {account.account: account.account for account in there.accounts}))
        else:
            (there.numbers,) = cx.execute("SELECT count(DISTINCT line) FROM lines").fetchone()
    return there


def provisioned_to_guide(cx: sqlite3.Connection) -> Provisioned:
    """What records are guided and rated by, without accounts. Its lines are read while one goes through them: meanwhile
    hold the connection `at_one_moment`."""
    return Provisioned([], get_lines(cx), tariffs_in_force(cx), conversions(cx), get_favourites(cx))


@contextlib.contextmanager
def at_one_moment(cx: sqlite3.Connection) -> Iterator[None]:
    """What is read is that of one moment, whatever others commit."""
    cx.execute("SAVEPOINT one_moment")  # within another transaction, too
    try:
        yield
    finally:
        cx.execute("RELEASE one_moment")


def put_accounts(cx: sqlite3.Connection, accounts: Iterable[Account], now: int) -> None:
    """Add accounts, or replace what is known of them (all but their number, and when they were opened).

    If the zone or cycle day of one has changed, the counters' snapshot has other periods than the account: it goes.
    """
    accounts = list(accounts)
    clocks = {account.account: account.clock for account in accounts}
    known, moved = set(), False
    for account, *clock in cx.execute("SELECT account, timezone, cycle_day FROM accounts"):
        if account in clocks:
            known.add(account)
            moved |= clocks[account] != tuple(clock)
    if moved:
        snapshots.discard(cx)
    (last,) = cx.execute("SELECT coalesce(max(number), 0) FROM accounts").fetchone()
    numbers = count(last + 1)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
    cx.executemany(
        f"INSERT INTO accounts (shard, opened_at, number, {', '.join(COLUMNS)})"
        f" VALUES (0, ?, ?, {', '.join('?' * len(COLUMNS))})"
        f" ON CONFLICT (shard, account) DO UPDATE SET {assignments}",
        (
            (now, 0 if account.account in known else next(numbers), *(getattr(account, name) for name in COLUMNS))
            for account in accounts
        ),
    )


def get_accounts(cx: sqlite3.Connection, known: Mapping[str, Account] | None = None) -> list[Account]:
    """All accounts. Those that are as they are `known` are those very ones, and take no memory again."""
    # Equal texts are one, and so are equal terms: hundreds of thousands of accounts share those of some others.
    texts: dict[Any, Any] = {}
    shared: dict[AccountTerms, AccountTerms] = {}
    had = (known or {}).get
    found = []
    for account, name, email, fax, pager, phone, *own in cx.execute(
        f"SELECT account, name, email, fax, pager, phone, {', '.join(AccountTerms.__struct_fields__)} FROM accounts"
    ):
        terms = AccountTerms(*own)
        kept = shared.get(terms)
        if kept is None:
            kept = AccountTerms(*(texts.setdefault(one, one) for one in own))
            shared[kept] = kept
        read = Account(account, name, kept, contact_of(email, fax, pager, phone))
        was = had(account)
        found.append(was if was is not None and was == read else read)
    return found


def charged_otherwise(cx: sqlite3.Connection, accounts: Iterable[Account]) -> dict[str, str]:
    """Those of some accounts that have transactions in another currency than the one they are given here, with it."""
    given = {account.account: account.currency for account in accounts}
    known = cx.execute("SELECT account, currency FROM accounts")
    changed = [(account, currency) for account, currency in known if given.get(account, currency) != currency]
    return {account: currency for account, currency in changed if _has_transactions(cx, account)}


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


def account_numbers(cx: sqlite3.Connection) -> set[str]:
    """Those of all accounts."""
    return {account for (account,) in cx.execute("SELECT account FROM accounts")}


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


def get_lines(cx: sqlite3.Connection, numbers: Mapping[str, str] | None = None) -> Iterator[LineService]:
    """All lines as they are rated, the rows of each in the order of their files. `numbers`: those of accounts, as the
    accounts have them."""
    own = (numbers or {}).get
    services = LineServices()
    for line, account, number, from_on, *terms in cx.execute(
        "SELECT line, account, number, from_on, provider, service, coalesce(lines.tariff, accounts.tariff), currency,"
        " timezone, cycle_day FROM lines JOIN accounts USING (shard, account) WHERE shard = 0 ORDER BY line, position"
    ):
        yield services.made(line, own(account, account), number, from_on, *terms)


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
    """Of the versions that count and state conversions: the row of each currency that an account has. A rater for each
    of the others would take memory for nothing."""
    found: dict[int, dict[str, int]] = {}
    for base, currency, number in cx.execute(
        f"SELECT base_id, currency, id FROM tariffs WHERE base_id IN ({_IN_FORCE})"
        " AND currency IN (SELECT currency FROM accounts) ORDER BY id"
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
