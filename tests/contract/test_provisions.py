"""Imports while the program runs and without it: what is in force when they return, and what a crash leaves of it."""

import asyncio
import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mediation.directory_builder import DirectoryBuilder
from mediation.pipeline.front import Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.provisions import Provisions, import_accounts_alone, load_counters
from rating.account import Account
from rating.counters import Counters
from rating.directory import Directory
from rating.provisioning import ProvisioningError
from rating.recount import Difference, as_sums, differences, recount
from rating.store.batch import Batch
from rating.store.port import Provisioned
from rating.tariff import TariffError
from tests.builders import ACCOUNT, CALLING, NOW, a_batch, a_tariff_text, accounts_csv, cdr_json, lines_csv
from tests.contract.store_site import Site

MOVED = (
    accounts_csv(f"{ACCOUNT},Ada Lovelace,,USD,Asia/Tokyo,,standard,,1"),
    accounts_csv(f"{ACCOUNT},Ada Lovelace,,USD,America/New_York,,standard,,31"),
)
"""The account's periods by another clock."""


async def nobody_follows() -> None:
    """Nobody acts on what is imported."""


class Running:
    """The parts of a program that takes imports, without a feed and without a task."""

    def __init__(self, site: Site, builder: DirectoryBuilder, front: Front, counters: Counters) -> None:
        self.site, self.front, self.counters = site, front, counters
        metrics = PipelineMetrics(CollectorRegistry(), site.numbers_of)
        self.owner = StoreOwner(site.store, counters, metrics, max_queued=1000, max_commit=100)
        self.provisions = Provisions(site.store, builder, front, self.owner, lambda: NOW, nobody_follows)

    @classmethod
    async def start(cls, site: Site) -> "Running":
        builder = DirectoryBuilder(None)
        directory = builder.build(await site.store.provisioned())
        return cls(site, builder, Front(directory), await load_counters(site.store, directory.accounts))

    def batch(self, *lines: bytes) -> Batch:
        return a_batch(self.front.directory, *lines)

    async def write(self, *lines: bytes) -> None:
        batch = self.batch(*lines)
        await self.site.store.write(lambda: [batch], lambda _, rows: self.counters.add(rows))

    def reasons(self, *lines: bytes) -> list[str]:
        return [record.reason for record in self.batch(*lines).suspended]


async def found(site: Site, counters: Counters) -> list[Difference]:
    """Where counters do not say what the transactions say."""
    accounts: list[Account] = (await site.store.provisioned()).accounts
    truth: Any = await site.store.read(recount, accounts, site.store.last_id)
    return differences(as_sums(counters, accounts), truth.sums)


CALLS = tuple(
    cdr_json(id=start, start=start)
    for start in ("2026-11-20T14:07:31Z", "2026-10-31T20:00:00Z", "2026-11-01T03:59:59Z", "2026-01-31T00:00:00Z")
)


async def test_an_imported_account_line_and_tariff_are_in_force_when_the_import_returns(site: Site) -> None:
    running = await Running.start(site)
    call = cdr_json(calling="+19995550100", called="+81312345678")
    assert running.reasons(call) == ["unknown-line"]
    assert await running.provisions.import_accounts(accounts_csv("9,Bob,,USD,UTC,,gold,,1")) == 1
    assert running.reasons(call) == ["unknown-line"]
    assert await running.provisions.import_lines(lines_csv("+19995550100,9,P,local,,,")) == 1
    assert running.reasons(call) == ["no-rate"]
    await running.provisions.import_tariff(a_tariff_text("gold", ",World,,0,0,1,60,60/60"))
    assert running.reasons(call) == []
    await running.write(call)
    assert await found(site, running.counters) == []


async def test_a_refused_import_changes_nothing(site: Site) -> None:
    running = await Running.start(site)
    directory = running.front.directory
    with pytest.raises(ProvisioningError):
        await running.provisions.import_accounts(accounts_csv("9,Bob,,usd,UTC,,gold,,1"))
    with pytest.raises(ProvisioningError):
        await running.provisions.import_lines(lines_csv("+19995550100,77,P,local,,,"))
    with pytest.raises(TariffError):
        await running.provisions.import_tariff(a_tariff_text("gold", ",World,peak,0,0,1,60,60/60"))
    assert running.front.directory is directory
    assert running.reasons(cdr_json()) == []


async def test_a_tariff_that_did_not_change_is_not_made_ready_again(site: Site) -> None:
    running = await Running.start(site)
    (before,) = [running.front.directory.tariffs.in_force("standard", NOW)]
    await running.provisions.import_lines(lines_csv(f"+{CALLING},{ACCOUNT},Other,long-distance,,,"))
    after = running.front.directory.tariffs.in_force("standard", NOW)
    assert after is before


@pytest.mark.parametrize("accounts", MOVED, ids=["zone", "cycle day"])
async def test_counters_follow_an_account_whose_periods_move(site: Site, accounts: str) -> None:
    running = await Running.start(site)
    await running.write(*CALLS[:3])
    await running.provisions.import_accounts(accounts)
    assert await found(site, running.counters) == []
    await running.write(*CALLS)
    assert await found(site, running.counters) == []


@pytest.mark.parametrize("saved", [False, True], ids=["crash", "stop"])
@pytest.mark.parametrize("accounts", MOVED, ids=["zone", "cycle day"])
async def test_after_periods_have_moved_no_old_snapshot_comes_back(site: Site, accounts: str, saved: bool) -> None:
    running = await Running.start(site)
    await running.write(*CALLS[:3])
    await running.owner.save_snapshot()
    await running.provisions.import_accounts(accounts)
    if saved:
        await running.owner.save_snapshot()
    await site.reopen()
    running = await Running.start(site)
    assert await found(site, running.counters) == []
    await running.write(*CALLS)
    assert await found(site, running.counters) == []


class SlowBuilder(DirectoryBuilder):
    """Takes its time over a directory, as it does over a million lines."""

    def __init__(self) -> None:
        super().__init__(None)
        self.began, self.go_on = threading.Event(), threading.Event()

    def build(self, provisioned: Provisioned) -> Directory:
        self.began.set()
        self.go_on.wait(20)
        return super().build(provisioned)


@pytest.mark.parametrize("accounts", MOVED, ids=["zone", "cycle day"])
async def test_a_stop_in_the_middle_of_an_import_stores_no_counters_of_the_old_periods(
    site: Site, accounts: str
) -> None:
    running = await Running.start(site)
    await running.write(*CALLS)
    builder = SlowBuilder()
    provisions = Provisions(site.store, builder, running.front, running.owner, lambda: NOW, nobody_follows)
    importing = asyncio.create_task(provisions.import_accounts(accounts))
    await asyncio.to_thread(builder.began.wait, 20)
    saving = asyncio.create_task(running.owner.save_snapshot())
    await asyncio.wait({saving}, timeout=1)  # it may wait for the import, which the end of the program cuts short
    for task in (importing, saving):
        task.cancel()
    builder.go_on.set()
    await asyncio.gather(importing, saving, return_exceptions=True)
    await site.reopen()
    assert await found(site, (await Running.start(site)).counters) == []


@pytest.mark.parametrize("accounts", MOVED, ids=["zone", "cycle day"])
async def test_an_import_without_the_program_moves_the_stored_counters_too(site: Site, accounts: str) -> None:
    running = await Running.start(site)
    await running.write(*CALLS[:2])
    await running.owner.save_snapshot()
    await running.write(*CALLS[2:])
    assert await import_accounts_alone(site.store, accounts, NOW) == 1
    await site.reopen()
    assert await found(site, (await Running.start(site)).counters) == []


async def test_a_start_counts_what_came_after_the_snapshot(site: Site) -> None:
    running = await Running.start(site)
    await running.write(*CALLS[:2])
    await running.owner.save_snapshot()
    await running.write(*CALLS)  # two of them again
    await site.reopen()
    running = await Running.start(site)
    assert await found(site, running.counters) == []
    assert running.counters.covers_id == site.store.last_id
    assert {usage.transactions for usage in running.counters} == {1, 2}


async def test_an_account_keeps_its_currency_once_it_is_charged(site: Site) -> None:
    in_euros = accounts_csv(f"{ACCOUNT},Ada Lovelace,,EUR,America/New_York,,standard,,1")
    await site.store.import_accounts(in_euros, NOW)
    await site.store.import_accounts(accounts_csv(), NOW)
    await site.send(cdr_json())
    with pytest.raises(ProvisioningError, match=f"row 2, currency: account {ACCOUNT} is charged in USD"):
        await site.store.import_accounts(in_euros, NOW)
