"""`bench pages`: every page and customer search, while records come in at half the speed that there is."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, Final

from control.users import Role
from mediation.bench.asking import THINK_S, WARM_UP_S, Asked
from mediation.bench.browser import Browser
from mediation.bench.others import Others
from mediation.bench.page_list import API, CUSTOMER, OPERATOR, PAGES, STAFF, Draw, Known, Page, look_around
from mediation.bench.people import users_of
from mediation.bench.sending import Load, Sender, sending
from mediation.bench.site import TOKEN, RunningDaemon, Site, account_number, daemon
from mediation.failure import Failure
from rating.store.partitions import last_id
from rating.store.read_only import connect_reader
from simulators.load_client import percentile_ms

_CUSTOMERS: Final = 20
_PASSWORD: Final = "a bench of no secrets"  # noqa: S105  # of users that live for a minute
LEAST_ACCOUNTS: Final = 100
"""For each customer: a consolidated account has the lines of fifty."""
_SUSPENDED: Final = 2_000
_HTTP_OK: Final = 200


@dataclass(frozen=True, slots=True)
class PagesOptions:
    """How much, and how long."""

    records: int
    seconds: int
    accounts: int
    prefixes: int


def run_pages(options: PagesOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory. `pages` has the 95th percentile of each page in milliseconds, `details` the rest.

    Raises Failure if records are refused. A page that is not answered is in `failures`, with what came instead.
    """
    site = Site(directory, options.accounts, min(_CUSTOMERS, options.accounts // LEAST_ACCOUNTS), pages=True)
    site.provision(options.prefixes)
    token = asyncio.run(_add_people(site))
    now = datetime.now(UTC)
    with daemon(site) as running, closing(Browser(running.listening["web"])) as browser:
        capacity = _fill(site, running, Load(options.records, 1, now))
        with closing(connect_reader(site.store)) as cx:
            rows = last_id(cx)
            known = look_around(cx, options.accounts, site.consolidated, Random(1))  # noqa: S311  # the same at every run
        rate = max(1, capacity // 2)
        with sending(site, running, Load(round(rate * (options.seconds + WARM_UP_S)), 2, now, rate=rate)) as sender:
            others = Others(running)
            sender.begin()
            people = _sign_in(browser, known) | {API: {"Authorization": f"Bearer {token}"}}
            asked = _ask(browser, known, people, sender)
            load = sender.figures()
            others_cores = others.cores(load["cpu_s"])
        running.stop()
    details = {f"{page.who}: {page.name}": found for page, found in asked.items()}
    p95_ms = {name: found.percentile_ms(95) for name, found in details.items()}
    return {
        "rows": rows,
        "capacity_per_s": capacity,
        "ingest_per_s": round(load["accepted"] / load["seconds"]),
        "worst_p95_ms": max(p95_ms.values()),
        "sign_in_p50_ms": percentile_ms(sorted(browser.sign_ins_s), 50),
        "ack_p99_ms": load["ack_p99_ms"],
        "others_cores": others_cores,
        "pages": p95_ms,
        "details": {name: found.figures() for name, found in details.items()},
        "failures": {name: found.failure for name, found in details.items() if found.failure},
    }


def _fill(site: Site, running: RunningDaemon, load: Load) -> int:
    """Bring the records in at full speed; how many a second that is."""
    with sending(site, running, load) as sender:
        sender.begin()
        figures = sender.figures()
    _suspend_some(running)
    return round(load.records / float(figures["seconds"]))


async def _add_people(site: Site) -> str:
    """A user of staff, an operator, the customers, and an API token of staff, which is returned."""
    async with users_of(site) as users:
        await users.add_user(STAFF, Role.STAFF, None, None, _PASSWORD, "bench")
        await users.add_user(OPERATOR, Role.OPERATOR, None, None, _PASSWORD, "bench")
        for number in map(account_number, range(site.consolidated)):
            await users.add_user(number, Role.CUSTOMER, number, None, _PASSWORD, "bench")
        return await users.add_token(API, Role.STAFF, None, "bench")


def _suspend_some(running: RunningDaemon) -> None:
    """Records that end in suspense: of lines that nobody has, and unreadable ones."""
    start = datetime.now(UTC).isoformat()
    lines = [
        f'{{"id":"s{n}","calling":"+4930{n:06d}","called":"+442079460018","start":"{start}","duration":60}}\n'
        if n % 4
        else f'{{"id":"s{n}","calling":"none"}}\n'
        for n in range(_SUSPENDED)
    ]
    with closing(Browser(running.listening["feeds.pops"])) as browser:
        status, body = browser.post("/v1/transactions", "".join(lines).encode(), {"Authorization": f"Bearer {TOKEN}"})
    if status != _HTTP_OK:
        raise Failure(f"records for suspense were refused: {status} {body[:200]!r}")


def _sign_in(browser: Browser, known: Known) -> dict[str, dict[str, str]]:
    """The headers of everybody who has signed in, by name."""
    names = (STAFF, OPERATOR, *(customer.account for customer in known.customers))
    return {name: browser.sign_in(name, _PASSWORD) for name in names}


def _ask(browser: Browser, known: Known, people: Mapping[str, dict[str, str]], sender: Sender) -> dict[Page, Asked]:
    """Ask for every page in turn for as long as records are being sent."""
    rng = Random(2)  # noqa: S311  # the same at every run
    asked = {page: Asked() for page in PAGES}
    began = time.perf_counter()
    for page in cycle(PAGES):
        if sender.is_done:
            break
        customer = rng.choice(known.customers)
        headers = people[customer.account if page.who == CUSTOMER else page.who]
        warm = time.perf_counter() - began > WARM_UP_S
        asked[page].ask(browser, page.address(Draw(rng, known, customer)), headers, counts=warm)
        time.sleep(THINK_S)
    return asked
