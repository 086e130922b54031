"""A month leaves the store step by step, and everything that was counted of it is counted as before."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from mediation.provisions import load_counters, recount_into
from mediation.writer_retiring import retiring_alone
from rating.account import Account
from rating.counters import Counters
from rating.recount import as_sums, differences, recount
from rating.retired_use import NotBilled, RetiredUse
from rating.store import natural_keys, retiring
from rating.store.archiving import Manifest, archive_month, file_of
from rating.store.errors import StoreError
from rating.store.partitions import last_id
from rating.store.provisioning import get_accounts
from rating.store.reductions import use_differences
from rating.store.retired import retired_between, states
from rating.store.retiring import Done, Step
from tests.builders import ACCOUNT, NOW, a_tariff_text, cdr_json, micros
from tests.contract.store_site import Site

OCTOBER: Final = 202610
IN_OCTOBER: Final = "2026-10-31T23:30:00Z"
FOUR_FREE: Final = '[[allowance]]\nname = "free"\nper = "bill-cycle"\ncalls = 4\n'


def calls(number: int, start: str = IN_OCTOBER, **fields: Any) -> list[bytes]:
    return [cdr_json(id=f"{start}-{n}", start=start, **fields) for n in range(number)]


class Leaving:
    """A site with seven calls in October and two in November, and how October leaves it."""

    def __init__(self, site: Site, directory: Path) -> None:
        self.site, self.directory, self.now = site, directory, NOW
        self.taking = retiring_alone(site.store, lambda: self.now)

    async def fill(self) -> None:
        await self.site.send(*calls(2, "2026-11-01T00:30:00Z"))
        await self.site.send(*calls(7))
        await self.site.send(*calls(1, "2026-11-03T00:30:00Z"))

    async def step(self, do: str, **more: Any) -> Done:
        return await self.taking.take(msgspec.convert({"month": OCTOBER, "do": do} | more, Step))

    async def archive(self, bill: int | None = 1) -> tuple[Manifest, RetiredUse]:
        def archive(cx: Any) -> tuple[Manifest, RetiredUse]:
            accounts = {account.account: account for account in get_accounts(cx)}
            use = RetiredUse(accounts, lambda *_: bill)
            return archive_month(cx, OCTOBER, self.directory, use.add, NOW), use

        return await self.site.store.read(archive)

    async def retire(self) -> None:
        await self.step("close")
        manifest, use = await self.archive()
        await self.taking.take(Step(month=OCTOBER, do="sum", sums=list(use.sums()), arrivals=use.arrivals()))
        await self.step("retire", transactions=manifest.transactions, file=manifest.file, sha256=manifest.sha256)

    async def clear(self) -> list[int]:
        """How many rows each step has deleted."""
        deleted = []
        while (done := await self.step("clear")).state != "dropped":
            deleted.append(done.deleted)
        return deleted

    async def counted(self) -> list[Any]:
        """All that is counted: from the snapshot, from nothing, and independently; they must agree."""
        accounts = self.accounts()
        counters = await load_counters(self.site.store, accounts)
        again = Counters(accounts)
        await recount_into(again, self.site.store)
        truth = await self.site.store.read(recount, accounts.values(), self.site.store.last_id)
        for one in (counters, again):
            assert differences(as_sums(one, accounts.values()), truth.sums) == []
            assert one.charges(ACCOUNT) == truth.charge_micros
        assert await self.site.store.read(use_differences) == []
        return [truth, sorted(counters), await self.site.accounted()]

    def accounts(self) -> dict[str, Account]:
        return dict(self.site.directory.accounts)

    async def tables(self) -> dict[str, int]:
        """Rows of what belongs to transactions."""

        def look(cx: Any) -> Iterator[tuple[str, int]]:
            names = [name for (name,) in cx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                if str(OCTOBER) in name or name in ("charge_reductions", "rerated", "call_sessions"):
                    yield name, cx.execute(f"SELECT count(*) FROM {name}").fetchone()[0]

        return dict(await self.site.store.read(lambda cx: list(look(cx))))


@pytest.fixture
async def leaving(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leaving:
    monkeypatch.setattr(retiring, "ROWS_A_SLICE", 3)
    monkeypatch.setattr(retiring, "KEYS_A_SLICE", 4)
    monkeypatch.setattr(retiring, "DROP_AFTER_US", 0)
    await site.import_tariff(a_tariff_text("standard", toml=FOUR_FREE))
    await site.follow()
    one = Leaving(site, tmp_path / "archive")
    await one.fill()
    return one


async def test_after_every_step_everything_is_counted_as_before(leaving: Leaving) -> None:
    before = await leaving.counted()
    await leaving.step("close")
    assert await leaving.counted() == before
    await leaving.step("reopen")
    await leaving.retire()
    assert await leaving.counted() == before
    assert len(await leaving.site.exported()) == 3
    deleted = []
    while (done := await leaving.step("clear")).state != "dropped":
        deleted.append(done.deleted)
        assert await leaving.counted() == before
    assert deleted == [3, 3, 1]  # its keys are in memory
    await leaving.site.reopen()
    assert await leaving.counted() == before
    assert await leaving.tables() == {"charge_reductions": 3, "rerated": 0, "call_sessions": 0}


async def test_a_line_of_the_archive_has_what_explains_it(leaving: Leaving) -> None:
    before = {one["transaction"]: one for one in await leaving.site.exported()}
    await leaving.step("close")
    manifest, _ = await leaving.archive()
    lines = list(
        map(msgspec.json.decode, gzip.decompress(file_of(leaving.directory, OCTOBER).read_bytes()).splitlines())
    )
    assert (manifest.transactions, manifest.charge) == (7, "13.400000")
    assert [line["transaction"] for line in lines] == [3, 4, 5, 6, 7, 8, 9]
    for line in lines:
        own = before[line["transaction"]]
        assert {name: line[name] for name in own} == msgspec.json.decode(msgspec.json.encode(own))
        assert line["stored"]["charge_micros"] == (200_000 if "reductions" in line else 2_600_000)
    await leaving.step("reopen")


async def test_a_closed_month_takes_nothing_and_an_open_one_again_does(leaving: Leaving) -> None:
    await leaving.step("close")
    late = calls(1, "2026-10-30T12:00:00Z")
    assert await leaving.site.send(*late, *calls(1)) == (0, 1, 1)
    assert await leaving.site.send(*late) == (0, 1, 0)
    await leaving.step("reopen")
    assert await leaving.site.send(*calls(1, "2026-10-30T13:00:00Z")) == (1, 0, 0)


async def test_ids_are_not_used_again_though_the_last_are_gone(leaving: Leaving) -> None:
    await leaving.site.send(*calls(8))
    last = leaving.site.store.last_id
    await leaving.retire()
    await leaving.clear()
    await leaving.site.reopen()
    assert leaving.site.store.last_id == last == await leaving.site.store.read(last_id)
    await leaving.site.send(*calls(1, "2026-11-04T00:30:00Z"))
    assert max(line["transaction"] for line in await leaving.site.exported()) == last + 1


@pytest.mark.parametrize("in_memory", [6, 12], ids=["on their way", "gathering"])
async def test_keys_that_wait_to_be_moved_do_not_meet_a_table_that_is_gone(
    leaving: Leaving, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(natural_keys, "IN_MEMORY", in_memory)
    monkeypatch.setattr(natural_keys, "AT_ONCE", 2)
    await leaving.site.send(*calls(1, "2026-11-05T00:30:00Z"))
    await leaving.retire()
    await leaving.clear()
    for day in range(10, 20):
        assert await leaving.site.send(*calls(2, f"2026-11-{day}T00:30:00Z")) == (2, 0, 0)


async def test_its_tables_stay_for_who_began_to_read_before(leaving: Leaving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiring, "DROP_AFTER_US", 5)
    await leaving.site.reopen()
    leaving.taking = retiring_alone(leaving.site.store, lambda: leaving.now)
    monkeypatch.setattr(natural_keys, "IN_MEMORY", 1)
    await leaving.site.send(*calls(1, "2026-11-05T00:30:00Z"))  # has October's keys moved into their table
    await leaving.retire()
    leaving.now += 4
    assert [(await leaving.step("clear")).deleted for _ in range(7)] == [3, 3, 1, 4, 3, 0, 0]
    assert {name: rows for name, rows in (await leaving.tables()).items() if str(OCTOBER) in name} == {
        f"transactions_{OCTOBER}": 0,
        f"natural_keys_{OCTOBER}": 0,
    }
    leaving.now += 1
    assert await leaving.step("clear") == Done(OCTOBER, "dropped")
    assert await leaving.step("clear") == Done(OCTOBER, "dropped")
    assert not [name for name in await leaving.tables() if str(OCTOBER) in name]


async def test_sessions_of_its_calls_go_and_others_stay(leaving: Leaving) -> None:
    for number, start in enumerate(("2026-10-30T12:00:00Z", "2026-11-05T12:00:00Z")):
        batch = leaving.site.batch(cdr_json(id=f"s{number}", start=start, session=f"s{number}", leg="a"))
        batch.feed = "json"
        await leaving.site.commit(batch)
    await leaving.retire()
    await leaving.clear()
    sessions = await leaving.site.store.read(lambda cx: cx.execute("SELECT session FROM call_sessions").fetchall())
    assert sessions == [("s1",)]


@pytest.mark.parametrize("first", [(), ("close",)], ids=["in use", "closed"])
@pytest.mark.parametrize("do", ["sum", "retire", "clear", "reopen"])
async def test_a_step_out_of_turn_changes_nothing(leaving: Leaving, first: tuple[str, ...], do: str) -> None:
    for step in first:
        await leaving.step(step)
    if (do, first) in (("sum", ("close",)), ("reopen", ("close",))):
        return  # it is its turn
    before = await leaving.site.store.read(states)
    with pytest.raises(StoreError, match="202610"):
        await leaving.step(do, transactions=7)
    assert await leaving.site.store.read(states) == before
    assert len(await leaving.site.exported()) == 10


async def test_a_month_does_not_go_when_the_sums_are_not_of_all_its_calls(leaving: Leaving) -> None:
    await leaving.step("close")
    manifest, use = await leaving.archive()
    await leaving.taking.take(Step(month=OCTOBER, do="sum", sums=list(use.sums())[:-1]))
    with pytest.raises(StoreError, match="7 transactions archived"):
        await leaving.step("retire", transactions=manifest.transactions)
    assert len(await leaving.site.exported()) == 10


async def test_a_month_does_not_go_before_the_stored_counters_have_its_calls(leaving: Leaving) -> None:
    """A start replays what came after them row by row."""
    await leaving.step("close")
    manifest, use = await leaving.archive()
    await leaving.taking.take(Step(month=OCTOBER, do="sum", sums=list(use.sums())))
    with pytest.raises(StoreError, match="the stored counters do not cover"):
        await leaving.site.store.retire(Step(month=OCTOBER, do="retire", transactions=manifest.transactions), NOW)
    assert len(await leaving.site.exported()) == 10


async def test_a_month_with_a_call_on_no_bill_is_not_archived(leaving: Leaving) -> None:
    await leaving.step("close")
    with pytest.raises(NotBilled, match=f"transaction 3 of account {ACCOUNT} is on no bill yet"):
        await leaving.archive(bill=None)
    assert list(leaving.directory.iterdir()) == []


def torn(whole: bytes) -> bytes:
    return whole[:-20]


def without_a_line(whole: bytes) -> bytes:
    return gzip.compress(b"".join(gzip.decompress(whole).splitlines(keepends=True)[1:]))


def with_a_line_twice(whole: bytes) -> bytes:
    first, *_, last = lines = gzip.decompress(whole).splitlines(keepends=True)
    return gzip.compress(b"".join([first, first, *lines[1:-1]])) if first != last else whole


def with_another_charge(whole: bytes) -> bytes:
    return gzip.compress(gzip.decompress(whole).replace(b'"charge_micros":2600000', b'"charge_micros":2600001'))


@pytest.mark.parametrize("spoil", [torn, without_a_line, with_a_line_twice, with_another_charge])
async def test_a_file_that_does_not_say_what_the_store_says_is_no_archive(
    leaving: Leaving, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes]
) -> None:
    def spoilt(path: Path) -> Any:
        path.write_bytes(spoil(path.read_bytes()))
        return reading_back(path)

    reading_back = archive_month.__globals__["_read_back"]
    monkeypatch.setitem(archive_month.__globals__, "_read_back", spoilt)
    await leaving.step("close")
    with pytest.raises(StoreError, match="nothing was dropped"):
        await leaving.archive()
    assert list(leaving.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("from_", "to", "months"),
    [
        (None, None, [OCTOBER]),
        ("2026-11-01T00:00:00Z", None, []),
        ("2026-10-31T23:59:59Z", None, [OCTOBER]),
        (None, "2026-10-01T00:00:00Z", []),
        (None, "2026-10-01T00:00:01Z", [OCTOBER]),
    ],
)
async def test_which_retired_months_are_asked_for(
    leaving: Leaving, from_: str | None, to: str | None, months: list[int]
) -> None:
    await leaving.step("close")
    bounds = [None if text is None else micros(text) for text in (from_, to)]
    assert await leaving.site.store.read(retired_between, *bounds) == []
    await leaving.retire()
    assert await leaving.site.store.read(retired_between, *bounds) == months
