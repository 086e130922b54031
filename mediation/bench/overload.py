"""`bench overload`: ten times as many records as the daemon can take, and pages asked for meanwhile."""

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

from control.users import Role
from mediation.bench.asking import THINK_S, WARM_UP_S, Asked
from mediation.bench.beside import fill
from mediation.bench.browser import Browser
from mediation.bench.child import Child, child
from mediation.bench.others import Others
from mediation.bench.page_list import CUSTOMER, PAGES, STAFF, Draw, Known, look_around
from mediation.bench.people import users_of
from mediation.bench.recovery import Acknowledgements
from mediation.bench.sending import Load
from mediation.bench.site import LINES_OF_CONSOLIDATED, TOKEN, RunningDaemon, Site, account_number, daemon
from mediation.failure import Failure
from rating.store.partitions import last_id, partitions, table_of
from rating.store.read_only import connect_reader
from simulators.load_client import percentile_ms

TIMES: Final = 10
"""As much is offered as can be taken."""
CONNECTIONS: Final = 400
_IN_FLIGHT: Final = 20
_BATCH: Final = 500
_SPARE: Final = 1.4
"""So many times the records that are expected are built: a machine has moods."""
_CUSTOMERS: Final = 4
_PASSWORD: Final = "a bench of no secrets"  # noqa: S105  # of users that live for a minute


@dataclass(frozen=True, slots=True)
class OverloadOptions:
    """How much, and how long."""

    records: int
    """In the store before."""
    seconds: int
    """Each: to measure the capacity, and to offer more."""
    accounts: int
    prefixes: int


@dataclass(frozen=True, slots=True)
class _Posted:
    """What came of some seconds of posting, with pages asked for beside it."""

    crowd: dict[str, Any]
    asked: dict[str, Asked]
    cpu_s: float
    """Of the daemon."""
    others_cores: float
    rss_mb: list[float]
    """Of the daemon, now and then."""

    @property
    def accepted_per_s(self) -> float:
        return float(self.crowd["in_time"] / self.crowd["seconds"])


def run_overload(options: OverloadOptions, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory.

    Raises Failure unless the store holds what was acknowledged, and nothing else. What is wrong otherwise is in
    `failures`: an answer that is neither 200 nor 503, a 503 without Retry-After, a page that did not answer.
    """
    consolidated = max(1, min(_CUSTOMERS, options.accounts // LINES_OF_CONSOLIDATED))
    site = Site(directory, options.accounts, consolidated, pages=True)
    site.provision(options.prefixes)
    asyncio.run(_add_people(site))
    now = datetime.now(UTC)
    with daemon(site) as running, closing(Browser(running.listening["web"])) as browser:
        rough = fill(site, running, Load(options.records, 1, now))
        with closing(connect_reader(site.store)) as cx:
            known = look_around(cx, options.accounts, site.consolidated, Random(1))  # noqa: S311  # the same at every run
        names = (STAFF, *(customer.account for customer in known.customers))
        visit = _Visit(browser, known, {name: browser.sign_in(name, _PASSWORD) for name in names})
        most = round(rough * options.seconds * _SPARE)
        capacity = _post(_crowd(site, running, options, now, most, 2), running, visit)
        with closing(Acknowledgements(site, running, now)) as probe:
            probe.be_used_to()
            most = round(capacity.accepted_per_s * options.seconds * _SPARE)
            rate = round(capacity.accepted_per_s * TIMES)
            over = _post(_crowd(site, running, options, now, most, 3, CONNECTIONS, rate), running, visit)
            recovered_s = probe.recovered_s()
            after_mb = running.rss_mb()
            acknowledged = options.records + capacity.crowd["accepted"] + over.crowd["accepted"] + probe.accepted
        running.stop()
    _check_store(site, acknowledged)
    return _figures(capacity, over) | {
        "rss_after_mb": round(after_mb, 1),
        "recovered_s": recovered_s,
        "stored": acknowledged,
        "failures": _failures(capacity, over, recovered_s),
    }


def _figures(capacity: _Posted, over: _Posted) -> dict[str, Any]:
    crowd = over.crowd
    took_s, quiet_s = (
        sorted(took for found in each.asked.values() for took in found.took_s) for each in (over, capacity)
    )
    half = len(over.rss_mb) // 2
    return {
        "capacity_per_s": round(capacity.accepted_per_s),
        "accepted_per_s": round(over.accepted_per_s),
        "kept": round(over.accepted_per_s / capacity.accepted_per_s, 3),
        "offered_times": round(crowd["offered"] / crowd["seconds"] / capacity.accepted_per_s, 1),
        "answered_503": crowd["answered_503"],
        "ack_p50_ms": crowd["ack_p50_ms"],
        "ack_p99_ms": crowd["ack_p99_ms"],
        "pages_asked": len(took_s),
        "pages_p95_ms": percentile_ms(took_s, 95),
        "pages_max_ms": percentile_ms(took_s, 100),
        "quiet_pages_p95_ms": percentile_ms(quiet_s, 95),
        "rss_before_mb": round(max(capacity.rss_mb), 1),
        "rss_half_mb": round(max(over.rss_mb[: half + 1]), 1),
        "rss_peak_mb": round(max(over.rss_mb), 1),
        "cpu_us_per_record": round(capacity.cpu_s / capacity.crowd["accepted"] * 1e6, 2),
        "overloaded_cpu_us_per_record": round(over.cpu_s / max(1, crowd["accepted"]) * 1e6, 2),
        "load_cpu_s": crowd["cpu_s"],
        "others_cores": over.others_cores,
    }


def _failures(capacity: _Posted, over: _Posted, recovered_s: float | None) -> dict[str, str]:
    """What is wrong, by name."""
    failures = {}
    for name, posted in (("capacity", capacity), ("overload", over)):
        crowd = posted.crowd
        if crowd["errors"] or crowd["duplicate"] or crowd["suspended"]:
            failures[name] = f"not everything was accepted or refused: {crowd}"
        elif crowd["without_retry_after"]:
            failures[name] = f"{crowd['without_retry_after']} answers of 503 had no Retry-After"
        failures |= {f"{name}: {page}": found.failure for page, found in posted.asked.items() if found.failure}
    if capacity.crowd["answered_503"]:
        failures["refused"] = f"{capacity.crowd['answered_503']} were refused at {_IN_FLIGHT} requests in flight"
    if recovered_s is None:
        failures["recovered"] = "acknowledgements did not become as quick as before"
    return failures


class _Visit:
    """A customer and staff who ask for their pages in turn."""

    def __init__(self, browser: Browser, known: Known, people: Mapping[str, dict[str, str]]) -> None:
        """`people`: the headers of each, by name."""
        self._browser, self._known, self._people = browser, known, people

    def until_over(self, posting: Child, meanwhile: Callable[[], None]) -> dict[str, Asked]:
        """What became of each page's requests until a program has ended; `meanwhile` is called for each."""
        rng = Random(2)  # noqa: S311  # the same at every run
        pages = [page for page in PAGES if page.who in (CUSTOMER, STAFF)]
        asked = {f"{page.who}: {page.name}": Asked() for page in pages}
        began = time.perf_counter()
        for page in cycle(pages):
            if posting.is_over:
                return asked
            customer = rng.choice(self._known.customers)
            headers = self._people[customer.account if page.who == CUSTOMER else page.who]
            path = page.address(Draw(rng, self._known, customer))
            warm = time.perf_counter() - began > WARM_UP_S
            asked[f"{page.who}: {page.name}"].ask(self._browser, path, headers, counts=warm)
            meanwhile()
            time.sleep(THINK_S)
        raise AssertionError("there are pages")


def _crowd(
    site: Site,
    running: RunningDaemon,
    options: OverloadOptions,
    now: datetime,
    records: int,
    seed: int,
    connections: int = _IN_FLIGHT,
    rate: int | None = None,
) -> tuple[object, ...]:
    """What the program that posts is told."""
    return (
        "--url", running.feed_url, "--token", TOKEN, "--records", records, "--batch", _BATCH,
        "--seconds", options.seconds, "--connections", connections, *(("--rate", rate) if rate else ()),
        "--lines-count", site.accounts, "--prefixes", site.prefixes, "--seed", seed, "--now", now.isoformat(),
    )  # fmt: skip


def _post(arguments: tuple[object, ...], running: RunningDaemon, visit: _Visit) -> _Posted:
    with child("simulators.overload", arguments) as posting:
        posting.hear()
        others = Others(running)
        before_s = running.cpu_s()
        posting.tell()
        rss_mb = [running.rss_mb()]
        asked = visit.until_over(posting, lambda: rss_mb.append(running.rss_mb()))
        crowd = posting.hear()
        return _Posted(crowd, asked, running.cpu_s() - before_s, others.cores(crowd["cpu_s"]), rss_mb)


async def _add_people(site: Site) -> None:
    async with users_of(site) as users:
        await users.add_user(STAFF, Role.STAFF, None, None, _PASSWORD, "bench")
        for number in map(account_number, range(site.consolidated)):
            await users.add_user(number, Role.CUSTOMER, number, None, _PASSWORD, "bench")


def _check_store(site: Site, acknowledged: int) -> None:
    """Raises Failure unless the store holds as many transactions as were acknowledged. None of them is there twice: the
    store's own keys see to that, and what was refused and sent again would have been a duplicate."""
    with closing(connect_reader(site.store)) as cx:
        tables = [table_of(month) for month in partitions(cx)]
        stored = sum(cx.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)  # noqa: S608  # our own names
        if not stored == last_id(cx) == acknowledged:
            raise Failure(f"{acknowledged} records were acknowledged, and the store holds {stored}")
