"""`bench search`: pages of customers and of staff, on a store of so many transactions."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from mediation.bench.site import SOURCE, TARIFF, deck
from mediation.schema import all_migrations
from rating.account import Account, Line
from rating.cdr import MICROS
from rating.search.conditions import Condition, parse_conditions
from rating.search.keys import Sort
from rating.search.search import search_account, search_all
from rating.search.seeking import lines_of
from rating.store import provisioning, sources, transactions
from rating.store.batch import COLUMNS, Row, key_of
from rating.store.partitions import create_partition, month_of
from rating.store.sqlite import WRITER_PRAGMAS, connect_reader, migrate_store
from rating.tariff import TariffText, parse_tariff
from simulators.load_records import line_number

_NOW_S: Final = 1_795_000_000
"""All that is drawn is the same at every run."""
_SPREAD_S: Final = 365 * 86_400
_ACCOUNT_CALLS: Final = 100
_PREFIXES: Final = 2_000
_AT_ONCE: Final = 50_000
_SEARCHES: Final = 300
_LIMIT: Final = 50
_ZONE: Final = ZoneInfo("America/New_York")


def run_search(rows: int, directory: Path) -> dict[str, Any]:
    """Fill a store in an empty directory and search it; the contract's figures, each the 95th percentile."""
    path = directory / "bench.db"
    accounts = max(1, rows // _ACCOUNT_CALLS)
    calls = _fill(path, rows, accounts)
    rng = Random(3)  # noqa: S311  # to be the same at every run
    cx = connect_reader(path)

    def customer() -> int:
        account = _account(rng.randrange(accounts))
        kinds: Sequence[tuple[str, str, str]] = rng.choice(((), (("charge", ">", "2"),), (("duration", ">=", "60"),)))
        sort = Sort(rng.choice(("start", "charge", "called")), rng.random() < 0.5)
        page = search_account(cx, account, lines_of(cx, account), _conditions(*kinds), sort, None, _LIMIT)
        return len(page.rows)

    def staff(column: str, value: Callable[[], str]) -> Callable[[], int]:
        return lambda: len(search_all(cx, _conditions((column, "=", value())), None, _LIMIT).rows)

    figures = {
        "rows": rows,
        "customer_p95_ms": _p95_ms(customer),
        "staff_line_p95_ms": _p95_ms(staff("line", lambda: line_number(rng.randrange(accounts)))),
        "staff_called_p95_ms": _p95_ms(staff("called", lambda: "+" + rng.choice(calls))),
    }
    cx.close()
    return figures


def _p95_ms(search: Callable[[], int]) -> float:
    took = []
    for _ in range(_SEARCHES):
        began = time.perf_counter()
        search()
        took.append(time.perf_counter() - began)
    return round(sorted(took)[int(_SEARCHES * 0.95)] * 1000, 2)


def _conditions(*triples: tuple[str, str, str]) -> tuple[Condition, ...]:
    return parse_conditions(triples, _ZONE, "USD")


def _account(index: int) -> str:
    return f"40{index:08d}"


def _fill(path: Path, rows: int, accounts: int) -> list[str]:
    """Make the store: a year of calls in the order of their starts. Returns some of the called numbers."""
    migrate_store(path, all_migrations(), _NOW_S * MICROS)
    cx = sqlite3.connect(path, isolation_level=None)
    for pragma in WRITER_PRAGMAS:
        cx.execute(pragma)
    cx.execute("PRAGMA synchronous = OFF")
    text, prefixes = deck(_PREFIXES)
    tariff = TariffText(TARIFF, text, "bench.toml", "bench.csv")
    cx.execute("BEGIN")
    (source,) = sources.register(cx, [SOURCE]).values()
    number = provisioning.add_tariff(cx, tariff, parse_tariff(tariff), _NOW_S * MICROS)
    provisioning.put_accounts(
        cx,
        (
            Account(_account(n), f"Customer {n}", None, "USD", _ZONE.key, None, "bench", None, 1)
            for n in range(accounts)
        ),
        _NOW_S * MICROS,
    )
    provisioning.put_lines(
        cx,
        (Line(line_number(n)[1:], "long-distance", "", _account(n), "Atlantic Telecom") for n in range(accounts)),
    )
    cx.execute("COMMIT")
    called: list[str] = []
    rng = Random(1)  # noqa: S311  # to be the same at every run
    for first in range(0, rows, _AT_ONCE):
        calls = [
            _row(rng, n, rows, accounts, prefixes, source, number) for n in range(first, min(first + _AT_ONCE, rows))
        ]
        called += (row[COLUMNS.index("called")] for row in calls[::100])
        _insert(cx, calls)
    cx.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    cx.close()
    return called


def _insert(cx: sqlite3.Connection, calls: list[Row]) -> None:
    months: dict[int, list[Row]] = {}
    for row in calls:
        months.setdefault(month_of(row[COLUMNS.index("start_at")]), []).append(row)
    cx.execute("BEGIN")
    for month, some in months.items():
        create_partition(cx, month)
        transactions.insert(cx, month, some)
    cx.execute("COMMIT")


def _row(rng: Random, index: int, rows: int, accounts: int, prefixes: list[str], source: int, tariff: int) -> Row:
    caller = rng.randrange(accounts)
    prefix = rng.choice(prefixes)
    start_at = (_NOW_S - _SPREAD_S) * MICROS + index * _SPREAD_S * MICROS // rows
    seconds = rng.randrange(600)
    record_id = f"b{index:x}"
    values: dict[str, Any] = {
        "id": index + 1,
        "source": source,
        "record_id": record_id,
        "start_at": start_at,
        "offset_min": -300,
        "answer_at": start_at,
        "duration_us": seconds * MICROS,
        "calling": line_number(caller)[1:],
        "called": f"{prefix}{rng.randrange(10_000):05d}",
        "line": line_number(caller)[1:],
        "account": _account(caller),
        "provider": "Atlantic Telecom",
        "service": "long-distance",
        "service_given": 0,
        "type": "direct",
        "destination": f"Place {prefix}",
        "charge_micros": seconds * 100 * rng.randrange(100, 200),
        "tariff": tariff,
        "billed_s": seconds,
        "arrived_at": start_at,
        "key": key_of(source, record_id, start_at),
    }
    return [values.get(name) for name in COLUMNS]
