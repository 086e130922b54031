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
from rating.counters import Counters
from rating.directory import Directory
from rating.provisioning import ProvisioningError
from rating.recount import Difference, as_sums, differences, recount
from rating.store.batch import ACCOUNT_NUMBER, Batch
from rating.store.provisioned import Provisioned
from rating.store.provisioning import at_one_moment, provisioned_to_guide, put_lines
from rating.tariff import TariffError
from tests.builders import ACCOUNT, CALLING, NOW, a_batch, a_line, a_tariff_text, accounts_csv, cdr_json, lines_csv
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
    accounts = (await site.store.provisioned()).accounts
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


async def test_a_tariff_is_made_ready_for_the_currencies_that_accounts_have(site: Site) -> None:
    tariff = a_tariff_text("gold", toml='[conversion]\nEUR = "0.5"\nGBP = "0.4"\n')
    running = await Running.start(site)
    number = await running.provisions.import_tariff(tariff)
    euros, pounds = number + 1, number + 2
    assert [running.front.directory.tariffs.numbered(one) is None for one in (number, euros, pounds)] == [
        False, True, True,
    ]  # fmt: skip
    await running.provisions.import_accounts(accounts_csv("9,Bob,,EUR,UTC,,gold,,1"))
    assert [running.front.directory.tariffs.numbered(one) is None for one in (number, euros, pounds)] == [
        False, False, True,
    ]  # fmt: skip


async def test_accounts_that_an_import_leaves_alone_are_the_very_same_after_it(site: Site) -> None:
    running = await Running.start(site)
    await running.provisions.import_accounts(accounts_csv("8,Ada,,USD,UTC,,,,1", "9,Bob,b@example.net,USD,UTC,,,,1"))
    before = dict(running.front.directory.accounts)
    await running.provisions.import_accounts(accounts_csv("8,Eve,,USD,UTC,,,,1", "9,Bob,b@example.net,USD,UTC,,,,1"))
    after = running.front.directory.accounts
    assert {number for number in before if before[number] is not after[number]} == {"8"}
    assert after["8"].name == "Eve"


async def test_who_only_guides_rates_as_who_knows_accounts_too(site: Site) -> None:
    await site.store.import_accounts(accounts_csv("8,Ada,,EUR,Asia/Tokyo,,,,31", "9,Bob,,USD,UTC,,gold,,1"), NOW)
    await site.store.import_lines(
        lines_csv("111,8,P,fax,,,2026-06-01", "111,9,P,fax,,,", "222,9,P,local,,silver,", "333,9,P,fax,,,")
    )
    whole = await site.store.provisioned()
    alone = await site.store.read(lambda cx: list(provisioned_to_guide(cx).lines))
    assert alone == whole.lines
    assert [(one.line, one.account, one.terms.tariff, one.clock) for one in alone][:4] == [
        ("111", "8", None, ("Asia/Tokyo", 31)),
        ("111", "9", "gold", ("UTC", 1)),
        (CALLING, ACCOUNT, "standard", ("America/New_York", 1)),
        ("222", "9", "silver", ("UTC", 1)),
    ]


async def test_lines_that_are_read_after_the_rest_are_those_of_the_same_moment(site: Site) -> None:
    def read(cx: Any) -> list[str]:
        with at_one_moment(cx):
            there = provisioned_to_guide(cx)
            reading.set()
            go_on.wait(20)
            return [line.line for line in there.lines]

    reading, go_on = threading.Event(), threading.Event()
    answer = asyncio.create_task(site.store.read(read))
    await asyncio.to_thread(reading.wait, 20)
    await site.store.transact(put_lines, [a_line("9"), a_line("0")])
    go_on.set()
    assert await answer == [CALLING]
    assert [line.line for line in (await site.store.provisioned()).lines] == ["0", CALLING, "9"]


async def account_numbers(site: Site) -> dict[str, int]:
    return await site.store.read(lambda cx: dict(cx.execute("SELECT account, number FROM accounts")))


async def test_an_account_keeps_its_number_whatever_is_imported_after_it(site: Site) -> None:
    before = await account_numbers(site)
    await site.store.import_accounts(accounts_csv("1,Ann,,USD,UTC,,standard,,1", "9,Bob,,USD,UTC,,standard,,1"), NOW)
    first = await account_numbers(site)
    await site.store.import_accounts(accounts_csv("9,Rob,,USD,UTC,,gold,,5", "0,Eve,,USD,UTC,,standard,,1"), NOW)
    after = await account_numbers(site)
    assert before.items() < first.items() < after.items()
    assert sorted(after.values()) == list(range(1, len(after) + 1))


async def test_a_record_says_the_number_of_its_account(site: Site) -> None:
    running = await Running.start(site)
    await running.provisions.import_accounts(accounts_csv("9,Bob,,USD,UTC,,standard,,1"))
    await running.provisions.import_lines(lines_csv("+19995550100,9,P,local,,,"))
    numbers = await account_numbers(site)
    batch = running.batch(cdr_json(id="a"), cdr_json(id="b", calling="+19995550100"), cdr_json(id="c"))
    (rows,) = batch.rows.values()
    assert [row[ACCOUNT_NUMBER] for row in rows] == [numbers[account] for account in (ACCOUNT, "9", ACCOUNT)]


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
