"""The SQL of the ledger: entries with their postings, only ever added."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from control.ledger.entry import Book, Entry, Kind, Posting
from rating.cdr import MICROS

_COLUMNS: Final = (
    "SELECT e.id, e.kind, e.account, e.at, e.actor, e.remark, e.idempotency_key, e.reverses,"
    " -coalesce(p.amount_micros, 0),"
    " coalesce(p.currency, (SELECT currency FROM ledger_postings WHERE entry = e.id)) FROM ledger_entries e"
)
_OF_RECEIVABLE: Final = "JOIN ledger_postings p ON p.entry = e.id AND p.book = 'receivable'"
_ENTRY: Final = f"{_COLUMNS} {_OF_RECEIVABLE}"
"""What changes what an account owes."""
_ANY_ENTRY: Final = f"{_COLUMNS} LEFT {_OF_RECEIVABLE}"
"""Those too that move money between other books."""


def add(cx: sqlite3.Connection, entry: Entry, request_digest: bytes, postings: Sequence[Posting]) -> None:
    """Write an entry with its postings, which sum to zero."""
    assert sum(posting.amount_micros for posting in postings) == 0, f"entry {entry.id} does not sum to zero"
    assert len({posting.currency for posting in postings}) == 1, f"entry {entry.id} mixes currencies"
    cx.execute(
        "INSERT INTO ledger_entries (shard, id, kind, account, at, actor, remark, idempotency_key, request_digest,"
        " reverses) VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.id, entry.kind, entry.account, entry.at, entry.actor, entry.remark, entry.idempotency_key,
            request_digest, entry.reverses,
        ),
    )  # fmt: skip
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM ledger_postings").fetchone()
    cx.executemany(
        "INSERT INTO ledger_postings (shard, id, entry, book, account, amount_micros, currency)"
        " VALUES (0, ?, ?, ?, ?, ?, ?)",
        (
            (last + number, entry.id, posting.book, posting.account, posting.amount_micros, posting.currency)
            for number, posting in enumerate(postings, 1)
        ),
    )


def add_many(cx: sqlite3.Connection, made: Sequence[tuple[Entry, bytes, Sequence[Posting]]]) -> None:
    """Write some hundred entries at most, each with the digest of what was asked for and its postings, in a statement a
    table: with executemany the interpreter lock is given up, and fought for, at every row."""
    if not made:
        return
    for entry, _, postings in made:
        assert sum(posting.amount_micros for posting in postings) == 0, f"entry {entry.id} does not sum to zero"
    cx.execute(
        "INSERT INTO ledger_entries (shard, id, kind, account, at, actor, remark, idempotency_key, request_digest,"  # noqa: S608  # only marks for values
        f" reverses) VALUES {', '.join(['(0, ?, ?, ?, ?, ?, ?, ?, ?, ?)'] * len(made))}",
        [
            value
            for entry, request_digest, _ in made
            for value in (
                entry.id, entry.kind, entry.account, entry.at, entry.actor, entry.remark, entry.idempotency_key,
                request_digest, entry.reverses,
            )
        ],
    )  # fmt: skip
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM ledger_postings").fetchone()
    halves = [(entry.id, posting) for entry, _, postings in made for posting in postings]
    cx.execute(
        "INSERT INTO ledger_postings (shard, id, entry, book, account, amount_micros, currency)"  # noqa: S608  # only marks for values
        f" VALUES {', '.join(['(0, ?, ?, ?, ?, ?, ?)'] * len(halves))}",
        [
            value
            for number, (entry, posting) in enumerate(halves, last + 1)
            for value in (number, entry, posting.book, posting.account, posting.amount_micros, posting.currency)
        ],
    )


def next_id(cx: sqlite3.Connection) -> int:
    """The number of the next entry."""
    (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM ledger_entries").fetchone()
    return int(last) + 1


def keyed(cx: sqlite3.Connection, account: str, key: str) -> tuple[Entry, bytes] | None:
    """The entry of an account that was made under a key, and the digest of what was asked for."""
    found = cx.execute(
        "SELECT id, request_digest FROM ledger_entries WHERE shard = 0 AND account = ? AND idempotency_key = ?",
        (account, key),
    ).fetchone()
    if found is None:
        return None
    entry = get(cx, found[0])
    assert entry is not None
    return entry, found[1]


def get(cx: sqlite3.Connection, number: int) -> Entry | None:
    """One entry."""
    row = cx.execute(f"{_ANY_ENTRY} WHERE e.id = ?", (number,)).fetchone()
    return _entry(row) if row else None


def reversal_of(cx: sqlite3.Connection, number: int) -> int | None:
    """The entry that took an entry back."""
    row = cx.execute("SELECT id FROM ledger_entries WHERE shard = 0 AND reverses = ?", (number,)).fetchone()
    return int(row[0]) if row else None


def taken_back(cx: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, int]:
    """Those of some entries that were taken back, each with the entry that did it."""
    rows = cx.execute(
        f"SELECT reverses, id FROM ledger_entries WHERE shard = 0 AND reverses IN ({', '.join('?' * len(numbers))})",  # noqa: S608  # only marks for values
        numbers,
    )
    return {int(number): int(by) for number, by in rows}


def postings_of(cx: sqlite3.Connection, number: int) -> list[Posting]:
    """The postings of an entry."""
    rows = cx.execute(
        "SELECT book, account, amount_micros, currency FROM ledger_postings WHERE entry = ? ORDER BY id", (number,)
    )
    return [Posting(Book(book), account, amount, currency) for book, account, amount, currency in rows]


def entries(
    cx: sqlite3.Connection, account: str, *, limit: int, before: int | None = None, besides: Kind | None = None
) -> list[Entry]:
    """The newest entries of an account first that change what it owes, at most `limit` of them; of those before
    `before`, if it is given, and that are none of the kind `besides`."""
    where, values = ("", ()) if before is None else (" AND e.id < ?", (before,))
    rows = cx.execute(
        f"{_ENTRY} WHERE e.shard = 0 AND e.account = ? AND e.kind <> ?{where} ORDER BY e.id DESC LIMIT ?",
        (account, besides or "", *values, limit),
    )
    return [_entry(row) for row in rows]


def owed_by_account(cx: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """Of every account with entries: its bills less its payments and credits."""
    # In two parts, millions and the rest: in one a sum could go beyond SQLite's 64 bits.
    rows = cx.execute(
        f"SELECT account, sum(amount_micros / {MICROS}), sum(amount_micros % {MICROS}) FROM ledger_postings"  # noqa: S608  # a number and a name of ours
        f" WHERE shard = 0 AND book = '{Book.RECEIVABLE}' GROUP BY account"
    )
    for account, whole, rest in rows:
        yield account, whole * MICROS + rest


def unbalanced(cx: sqlite3.Connection) -> list[tuple[int, int]]:
    """Entries whose postings do not sum to zero, or that have none, each with its sum; there are none."""
    rows = cx.execute(
        "SELECT e.id, coalesce(sum(p.amount_micros), 0) FROM ledger_entries e"
        " LEFT JOIN ledger_postings p ON p.entry = e.id GROUP BY e.id"
        " HAVING sum(p.amount_micros) IS NOT 0 OR count(DISTINCT p.currency) <> 1 ORDER BY e.id"
    )
    orphans = cx.execute(
        "SELECT entry, sum(amount_micros) FROM ledger_postings"
        " WHERE entry NOT IN (SELECT id FROM ledger_entries) GROUP BY entry ORDER BY entry"
    )
    return [(number, total) for found in (rows.fetchall(), orphans.fetchall()) for number, total in found]


def _entry(row: tuple[Any, ...]) -> Entry:
    number, kind, *rest = row
    return Entry(number, Kind(kind), *rest)
