"""Past traffic in a bench's store, made by SQL: so much as would take hours to send."""

import contextlib
import sqlite3
from datetime import UTC, datetime
from typing import Final

from mediation.bench.site import SOURCE, Site, account_number, daemon
from rating.cdr import MICROS
from rating.store import partitions, sources
from rating.store.batch import COLUMNS
from simulators.load_records import line_number, read_prefixes

_PAST_MONTHS: Final = 12
_AT_ONCE: Final = 500_000
SUBSCRIBERS: Final = 1_000_000
"""Numbers behind each prefix: at the most of six digits."""
_MIXED: Final = "(i * 2654435761 & 4294967295)"
"""A number of 32 bits, another one for each row, in no order."""

# The columns that a row of each number has; the others are null. `s` is its start in seconds.
_VALUES: Final = {
    "id": "i",
    "source": ":source",
    "record_id": f"printf('%08x-%d', {_MIXED}, i)",
    "start_at": f"s * {MICROS}",
    "offset_min": "-300",
    "answer_at": f"s * {MICROS} + 4 * {MICROS}",
    "duration_us": f"(1 + i % 600) * {MICROS}",
    "calling": "n.line",
    "called": "p.prefix || printf('%06d', i % :subscribers)",
    "line": "n.line",
    "account": "n.account",
    "provider": "'Atlantic Telecom'",
    "service": "'long-distance'",
    "service_given": "0",
    "type": "'direct'",
    "destination": "'Place ' || p.prefix",
    "charge_micros": "i % 2000 * 1000",
    "tariff": "1",
    "billed_s": "1 + i % 600",
    "arrived_at": f"s * {MICROS} + 900 * {MICROS}",
    "key": "(s & 4294967295) << 31 | i",
}


def preload_past(site: Site, rows: int, now: datetime, subscribers: int = SUBSCRIBERS) -> None:
    """Rows over the twelve months before this one, in the order of their starts; `subscribers` numbers are called
    behind each prefix."""
    this = now.year * 12 + now.month - 1
    months = [index // 12 * 100 + index % 12 + 1 for index in range(this - _PAST_MONTHS, this)]
    with contextlib.closing(_connect(site)) as cx:
        for number, month in enumerate(months):
            first, end = rows * number // len(months), rows * (number + 1) // len(months)
            start = f"{{begin}} + (i - {first}) * {{span}} / {max(end - first, 1)}"
            _fill(cx, month, first + 1, end, start, now, subscribers)
    _project(site)


def preload_live(site: Site, rows: int, now: datetime) -> None:
    """Rows in this month alone, their starts in no order."""
    with contextlib.closing(_connect(site)) as cx:
        _fill(cx, now.year * 100 + now.month, 1, rows, f"{{begin}} + {_MIXED} % {{span}}", now)
    _project(site)


def _connect(site: Site) -> sqlite3.Connection:
    cx = sqlite3.connect(site.store, isolation_level=None)
    # Nothing has to survive a crash here. The daemon sets what it needs when it opens the store.
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1048576", "temp_store = MEMORY"):
        cx.execute(f"PRAGMA {pragma}")
    cx.execute("BEGIN")
    sources.register(cx, [SOURCE])
    cx.execute("COMMIT")
    cx.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY, line TEXT, account TEXT)")
    cx.executemany(
        "INSERT INTO numbers VALUES (?, ?, ?)",
        ((n, line_number(n)[1:], account_number(site.owner(n))) for n in range(site.accounts)),
    )
    cx.execute("CREATE TEMP TABLE prefixes (n INTEGER PRIMARY KEY, prefix TEXT)")
    cx.executemany("INSERT INTO prefixes VALUES (?, ?)", enumerate(read_prefixes(site.prefixes.read_text())))
    return cx


def _fill(
    cx: sqlite3.Connection,
    month: int,
    first: int,
    last: int,
    start: str,
    now: datetime,
    subscribers: int = SUBSCRIBERS,
) -> None:
    """Rows with the ids from `first` to `last`; `start` is their second, of the month's first one and its length."""
    begin, end = (at // MICROS for at in partitions.month_bounds(month))
    span = min(end, int(now.astimezone(UTC).timestamp())) - begin
    (lines,) = cx.execute("SELECT count(*) FROM numbers").fetchone()
    (prefixes,) = cx.execute("SELECT count(*) FROM prefixes").fetchone()
    columns = [name for name in COLUMNS if name in _VALUES]
    table = partitions.table_of(month)
    (source,) = cx.execute("SELECT id FROM sources WHERE name = ?", (SOURCE,)).fetchone()
    cx.execute("BEGIN")
    partitions.create_partition(cx, month)
    cx.execute("COMMIT")
    for at in range(first, last + 1, _AT_ONCE):
        cx.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608  # names and expressions of our own
            f" WITH RECURSIVE ids (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM ids WHERE i < :last),"
            f" calls (i, s) AS (SELECT i, {start.format(begin=begin, span=span)} FROM ids)"
            f" SELECT {', '.join(_VALUES[name] for name in columns)} FROM calls"
            f" CROSS JOIN numbers AS n ON n.n = {_MIXED} % {lines}"
            f" CROSS JOIN prefixes AS p ON p.n = {_MIXED} / 7 % {prefixes}",
            {"first": at, "last": min(at + _AT_ONCE - 1, last), "source": source, "subscribers": subscribers},
        )


def _project(site: Site) -> None:
    """Have the daemon count it all, once, and keep where its counters stand; the keys of months that have many of them
    are in their tables then."""
    with daemon(site) as running:
        running.stop()
