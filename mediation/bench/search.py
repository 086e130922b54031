"""`bench search`: searches of customers and of staff in a large store: quiet, and while records come in at half the
speed that there is."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from control.users import Role
from mediation.bench.asking import THINK_S, WARM_UP_S, Asked
from mediation.bench.beside import fill
from mediation.bench.browser import Browser
from mediation.bench.others import Others
from mediation.bench.people import users_of
from mediation.bench.preload import SUBSCRIBERS, preload_past
from mediation.bench.sending import Load, sending
from mediation.bench.site import Site, account_number, daemon
from rating.search.search import find_transaction
from rating.store.partitions import last_id
from rating.store.read_only import connect_reader
from simulators.load_records import line_number

_ACCOUNT_CALLS: Final = 100
_CALLED_CALLS: Final = 20
"""Of each called number, about."""
_CUSTOMERS: Final = 200
_KNOWN_CALLS: Final = 500
"""Transactions whose called numbers staff look for."""
_NOTHING: Final = b'"items":[]'
_CONDITIONS: Final = ((), (("charge", ">", "1"),), (("duration", ">=", "60"),))
_SORTS: Final = ("start", "-start", "charge", "-charge", "called", "-called")

_Headers = dict[str, str]
Search = Callable[[], tuple[str, _Headers]]
"""Draws the address and the headers of a request."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How much, and how long."""

    rows: int
    records: int
    """To measure the capacity by."""
    seconds: int
    """Of searching, quiet, and as long again beside records."""
    prefixes: int


def run_search(options: SearchOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory. The contract's figures are the 95th percentiles beside records, and the same of a
    quiet daemon before; `details` has the rest.

    Raises Failure if records are refused. A search that is not answered, or finds nothing, is in `failures`.
    """
    site = Site(directory, max(1, options.rows // _ACCOUNT_CALLS), pages=True)
    site.provision(options.prefixes)
    now = datetime.now(UTC)
    numbers = options.rows // (_CALLED_CALLS * options.prefixes)
    preload_past(site, options.rows, now, min(max(1, numbers), SUBSCRIBERS))
    rng = Random(3)  # noqa: S311  # to be the same at every run
    customers, staff = asyncio.run(_add_tokens(site, rng))
    with daemon(site) as running, closing(Browser(running.listening["web"])) as browser:
        capacity = fill(site, running, Load(options.records, 1, now))
        searches = _searches(site, rng, customers, staff)
        ends_at = time.perf_counter() + options.seconds + WARM_UP_S
        quiet = _ask(browser, searches, lambda: time.perf_counter() > ends_at)
        rate = max(1, capacity // 2)
        with closing(connect_reader(site.store)) as cx:
            rows = last_id(cx)
        with sending(site, running, Load(round(rate * (options.seconds + WARM_UP_S)), 2, now, rate=rate)) as sender:
            others = Others(running)
            sender.begin()
            busy = _ask(browser, searches, lambda: sender.is_done)
            load = sender.figures()
            others_cores = others.cores(load["cpu_s"])
        running.stop()
    details = busy | {f"quiet_{name}": asked for name, asked in quiet.items()}
    return {
        "rows": rows,
        **{f"{name}_p95_ms": asked.percentile_ms(95) for name, asked in details.items()},
        "capacity_per_s": capacity,
        "ingest_per_s": round(load["accepted"] / load["seconds"]),
        "ack_p99_ms": load["ack_p99_ms"],
        "others_cores": others_cores,
        "details": {name: asked.figures() for name, asked in details.items()},
        "failures": {name: asked.failure for name, asked in details.items() if asked.failure},
    }


async def _add_tokens(site: Site, rng: Random) -> tuple[list[_Headers], _Headers]:
    """By what some customers, drawn by chance, and staff call the API."""
    accounts = [account_number(n) for n in rng.sample(range(site.accounts), min(_CUSTOMERS, site.accounts))]
    async with users_of(site) as users:
        customers = [await users.add_token(number, Role.CUSTOMER, number, "bench") for number in accounts]
        staff = await users.add_token("staff", Role.STAFF, None, "bench")
    return [_bearer(token) for token in customers], _bearer(staff)


def _bearer(token: str) -> _Headers:
    return {"Authorization": f"Bearer {token}"}


def _searches(site: Site, rng: Random, customers: list[_Headers], staff: _Headers) -> Mapping[str, Search]:
    """What is searched for, by its name among the figures; drawn anew for each request."""
    with closing(connect_reader(site.store)) as cx:
        last = last_id(cx)
        found = [find_transaction(cx, rng.randrange(last) + 1) for _ in range(_KNOWN_CALLS)]
    called = [row["called"] for row in found if row is not None]
    return {
        "customer": lambda: (_address(*rng.choice(_CONDITIONS), sort=rng.choice(_SORTS)), rng.choice(customers)),
        "staff_line": lambda: (_address(("line", "=", line_number(rng.randrange(site.accounts)))), staff),
        "staff_called": lambda: (_address(("called", "=", rng.choice(called))), staff),
    }


def _address(*conditions: tuple[str, str, str], sort: str = "") -> str:
    given = [pair for row in conditions for pair in zip(("column", "op", "value"), row, strict=True)]
    return f"/api/v1/transactions?{urlencode([*given, ('sort', sort)])}"


def _ask(browser: Browser, searches: Mapping[str, Search], is_over: Callable[[], bool]) -> dict[str, Asked]:
    """Search in turn, one at a time, until it is over."""
    asked = {name: Asked() for name in searches}
    began = time.perf_counter()
    for name, search in cycle(searches.items()):
        if is_over():
            break
        body = asked[name].ask(browser, *search(), counts=time.perf_counter() - began > WARM_UP_S)
        if _NOTHING in body:
            asked[name].failure = asked[name].failure or "found nothing"
        time.sleep(THINK_S)
    return asked
