"""What becomes of suspended records, on the real store: whatever is done, each is once in transactions or suspense."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from mediation.formats import parser_of
from mediation.pipeline.front import Front
from mediation.pipeline.mending import Mend, Replacement
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.recycling import CHUNK, NotSelectable, Recycled, Recycler, Selection
from rating.counters import Counters
from rating.recount import as_sums, differences, recount
from rating.store import suspense
from rating.store.arrivals import DAY_US
from rating.store.batch import COLUMN, Batch
from rating.store.provisioning import get_accounts
from rating.store.reading import cdr_of
from rating.store.suspense import SuspenseRecord
from rating.store.transactions import find_by_id
from tests.builders import ACCOUNT, CALLING, NOW, START, cdr_json, lines_csv, micros, raw
from tests.contract.store_site import Numbers, Site, numbers

STRANGER = "+19995550100"
LATER = NOW + DAY_US
"""When people get to the records: a day after they came."""
ADA = "staff:ada"

ASTERISK = (
    b'"","12125550142","442079460018","ctx","","SIP/1","SIP/2","Dial","x","2026-11-20 09:07:31",'
    b'"2026-11-20 09:07:31","2026-11-20 09:08:32",61,61,"ANSWERED","DOCUMENTATION","1795183651.1",""'
)


class Desk:
    """Somebody who works on suspense, beside a site whose transactions are counted."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.now = LATER
        self.counters = Counters({})
        self.seat()

    def seat(self) -> None:
        """Take over what is provisioned and open now."""
        self.counters.follow(self.site.directory.accounts)
        self.owner = StoreOwner(
            self.site.store,
            self.counters,
            PipelineMetrics(CollectorRegistry(), self.site.numbers_of),
            max_queued=1,
            max_commit=1,
        )
        self.front = Front(self.site.directory)
        self.recycler = Recycler(
            self.site.store, FrontHere(self.front), self.owner, lambda: self.now, self.site.numbers_of
        )

    async def send(self, *lines: bytes, **how: Any) -> Numbers:
        return await self.write(self.site.batch(*lines, **how))

    async def write(self, batch: Batch) -> Numbers:
        admission = await self.site.store.write(lambda: [batch], lambda _, rows: self.counters.add(rows))
        return numbers(admission.outcomes[0])

    async def import_stranger(self) -> None:
        await self.site.store.import_lines(lines_csv(f"{STRANGER},{ACCOUNT},Transcontinental,long-distance,,,"))
        await self.site.follow()
        self.seat()

    async def reopen(self) -> None:
        await self.site.reopen()
        self.seat()

    async def recycle(self, *ids: int, **which: Any) -> tuple[int, int, int]:
        done = await self.recycler.recycle(Selection(ids, **which), ADA)
        assert sum(done.by_reason_before.values()) == done.tried
        assert sum(done.by_reason_after.values()) == done.still_open
        return done.recycled, done.duplicates, done.still_open

    async def record(self, id_: int) -> SuspenseRecord:
        view = await self.recycler.record(id_)
        assert view
        return view.record

    async def all(self) -> list[SuspenseRecord]:
        return await self.site.store.read(suspense.select, suspense.Filter(state=None), 0, 1 << 60, 1 << 60)

    async def states(self) -> list[str]:
        """Of every record: its state, or its reason while it is open."""
        return [record.reason if record.state == "open" else record.state for record in await self.all()]

    async def check(self) -> None:
        """What holds whatever was done: sums, counters, and nothing twice."""
        for at in (NOW, LATER):
            for counts in (await self.site.accounted(at)).values():
                assert counts["received"] == sum(counts.values()) - counts["received"]
        accounts = await self.site.store.read(get_accounts)
        truth = await self.site.store.read(recount, accounts, self.site.store.last_id)
        assert differences(as_sums(iter(self.counters), accounts), truth.sums) == []
        transactions = {line["transaction"]: line for line in await self.site.exported()}
        made_of = [r.transaction_id for r in await self.all() if r.state == "recycled" and r.remark is None]
        assert len(made_of) == len(set(made_of))
        assert set(made_of) <= transactions.keys()


@pytest.fixture
async def desk(site: Site) -> AsyncIterator[Desk]:
    desk = Desk(site)
    yield desk
    await desk.check()


U, U2 = cdr_json(id="u", calling=STRANGER), cdr_json(id="u", calling=STRANGER, duration=62)
A, A2 = cdr_json(id="a"), cdr_json(id="a", duration=62)


@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
async def test_a_record_whose_line_is_imported_becomes_a_transaction_of_its_day(desk: Desk, reopened: bool) -> None:
    await desk.send(U)
    assert (await desk.site.accounted())["pop-nyc"]["suspended"] == 1
    await desk.import_stranger()
    if reopened:
        await desk.reopen()
    assert await desk.recycle(1) == (1, 0, 0)
    (transaction,) = await desk.site.exported()
    assert (transaction["id"], transaction["charge"], transaction["line"]) == ("u", "2.6000", STRANGER)
    assert transaction["rated_at"] == "2026-11-21T15:00:00Z"
    assert (await desk.site.accounted())["pop-nyc"] == {
        "received": 1, "stored": 1, "duplicate": 0, "suspended": 0, "discarded": 0,
    }  # fmt: skip
    assert (await desk.site.accounted(LATER))["pop-nyc"]["received"] == 0
    record = await desk.record(1)
    assert (record.state, record.transaction_id, record.changed_by, record.changed_at) == (
        "recycled", transaction["transaction"], ADA, LATER,
    )  # fmt: skip
    row = await desk.site.store.read(find_by_id, transaction["transaction"])
    assert row
    assert row[COLUMN["arrived_at"]] == NOW
    assert cdr_of(row, "pop-nyc").calling == STRANGER[1:]
    assert [r.id for r in await desk.recycler.origins(transaction["transaction"])] == [1]


async def test_what_still_cannot_be_processed_stays_with_its_reason_of_now(desk: Desk) -> None:
    await desk.send(cdr_json(id="u", calling=STRANGER, called="+8835100012345"))
    assert await desk.recycle(1) == (0, 0, 1)
    view = await desk.recycler.record(1)
    assert view
    assert (view.record.reason, view.changes) == ("unknown-line", [])  # nothing has changed: nothing is written
    await desk.import_stranger()
    assert await desk.recycle(1) == (0, 0, 1)
    view = await desk.recycler.record(1)
    assert view
    assert (view.record.state, view.record.reason) == ("open", "no-rate")
    assert "8835100012345" in view.record.detail
    assert [(one.change, one.changed_by) for one in view.changes] == [("tried", ADA)]


async def test_a_start_in_the_future_is_judged_by_the_clock_of_now(desk: Desk) -> None:
    await desk.send(cdr_json(start="2026-11-20T20:00:00Z"))
    desk.now = NOW + 1
    assert await desk.recycle(1) == (0, 0, 1)
    assert await desk.states() == ["future"]
    desk.now = LATER
    assert await desk.recycle(1) == (1, 0, 0)


async def test_what_is_older_than_the_retention_by_now_is_too_old(desk: Desk) -> None:
    await desk.send(U)
    await desk.import_stranger()
    desk.front.oldest_at = micros(START) + 1
    assert await desk.recycle(1) == (0, 0, 1)
    assert await desk.states() == ["too-old"]


@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
@pytest.mark.parametrize(
    ("first", "became"),
    [
        (U, "recycled"),
        *(
            (line, became)
            for line in (U, cdr_json(id="m", duration=-1), b"not a record")
            for became in ("mended and recycled", "mended", "discarded")
        ),
    ],
)
async def test_the_same_record_sent_again_is_a_duplicate_whatever_became_of_it(
    desk: Desk, first: bytes, became: str, reopened: bool
) -> None:
    await desk.send(first)
    if became == "recycled":
        await desk.import_stranger()
        assert await desk.recycle(1) == (1, 0, 0)
    elif became == "discarded":
        assert await desk.recycler.discard(Selection((1,)), ADA, "a test call") == 1
    else:
        await desk.recycler.mend(Selection((1,)), Mend(line=cdr_json(id="n")), ADA)
        if became != "mended":
            assert await desk.recycle(1) == (1, 0, 0)
    if reopened:
        await desk.reopen()
    transactions = await desk.site.exported()
    assert await desk.send(first, first) == (0, 2, 0)
    assert await desk.site.exported() == transactions
    assert len(await desk.all()) == 1


async def test_a_discarded_record_is_counted_as_such_and_keeps_its_line_and_remark(desk: Desk) -> None:
    await desk.send(U, b"not a record")
    assert await desk.recycler.discard(Selection(reason="malformed"), ADA, " noise ") == 1
    counts = (await desk.site.accounted())["pop-nyc"]
    assert (counts["suspended"], counts["discarded"]) == (1, 1)
    record = await desk.record(2)
    assert (record.raw, record.state, record.remark, record.changed_by) == (b"not a record", "discarded", "noise", ADA)
    assert await desk.recycle(2) == (0, 0, 0)
    assert await desk.recycler.discard(Selection((2,)), ADA, "again") == 0
    assert (await desk.record(2)).remark == "noise"
    assert await desk.site.store.read(suspense.count_by_reason) == {"unknown-line": 1}


@pytest.mark.parametrize("remark", ["", "  "])
async def test_nothing_is_discarded_without_a_remark(desk: Desk, remark: str) -> None:
    await desk.send(U)
    with pytest.raises(NotSelectable, match="say why"):
        await desk.recycler.discard(Selection((1,)), ADA, remark)
    assert await desk.states() == ["unknown-line"]


class TestConflicts:
    async def test_a_record_that_a_transaction_contradicts_stays(self, desk: Desk) -> None:
        await desk.send(A)
        await desk.send(A2)
        assert await desk.recycle(1) == (0, 0, 1)
        assert await desk.states() == ["conflict"]
        assert len(await desk.site.exported()) == 1

    async def test_a_record_mended_into_what_is_stored_is_its_duplicate(self, desk: Desk) -> None:
        await desk.send(A)
        await desk.send(A2)
        await desk.recycler.mend(Selection((1,)), Mend(set={"duration": "61.0"}), ADA)
        assert await desk.recycle(1) == (0, 1, 0)
        record = await desk.record(1)
        assert (record.state, record.transaction_id, record.remark) == ("recycled", 1, "duplicate of transaction 1")
        assert (await desk.site.accounted())["pop-nyc"] == {
            "received": 2, "stored": 1, "duplicate": 1, "suspended": 0, "discarded": 0,
        }  # fmt: skip

    async def test_of_two_in_suspense_one_is_stored_and_the_other_contradicts_it(self, desk: Desk) -> None:
        await desk.send(U)
        await desk.send(U2)
        assert await desk.states() == ["unknown-line", "conflict"]
        await desk.import_stranger()
        assert await desk.recycle(2) == (1, 0, 0)
        assert await desk.recycle(1) == (0, 0, 1)
        assert await desk.states() == ["conflict", "recycled"]
        (transaction,) = await desk.site.exported()
        assert transaction["duration"] == 62
        assert await desk.recycler.discard(Selection((1,)), ADA, "the other one is right") == 1

    async def test_all_at_once_the_first_that_arrived_is_stored(self, desk: Desk) -> None:
        await desk.send(U)
        await desk.send(U2)
        await desk.import_stranger()
        assert await desk.recycle() == (1, 0, 1)
        assert await desk.states() == ["recycled", "conflict"]

    async def test_two_that_were_mended_into_one_are_a_transaction_and_its_duplicate(self, desk: Desk) -> None:
        await desk.send(U)
        await desk.send(U2)
        await desk.recycler.mend(Selection(), Mend(set={"calling": "+" + CALLING, "duration": "61"}), ADA)
        assert await desk.recycle() == (1, 1, 0)
        assert await desk.states() == ["recycled", "recycled"]
        assert len(await desk.site.exported()) == 1
        assert [record.id for record in await desk.recycler.origins(3)] == []
        (transaction,) = await desk.site.exported()
        assert [record.id for record in await desk.recycler.origins(transaction["transaction"])] == [1, 2]

    async def test_rivals_that_cannot_be_processed_stay_what_they_are(self, desk: Desk) -> None:
        await desk.send(U)
        await desk.send(U2)
        assert await desk.recycle() == (0, 0, 2)
        assert await desk.states() == ["unknown-line", "conflict"]
        await desk.recycler.discard(Selection((1,)), ADA, "wrong")
        assert await desk.recycle() == (0, 0, 1)
        assert await desk.states() == ["discarded", "unknown-line"]

    async def test_a_corrected_record_of_the_source_is_the_duplicate_of_the_mended_one(self, desk: Desk) -> None:
        wrong, right = cdr_json(id="w", calling=STRANGER), cdr_json(id="w")
        await desk.send(wrong)
        await desk.recycler.mend(Selection((1,)), Mend(set={"calling": "+" + CALLING}), ADA)
        await desk.recycle(1)
        assert await desk.send(right) == (0, 1, 0)
        assert await desk.send(wrong) == (0, 1, 0)
        assert await desk.send(cdr_json(id="w", duration=1)) == (0, 0, 1)

    async def test_a_natural_key_whose_number_is_taken_gets_the_next_one(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mediation.pipeline.front.key_of", lambda *_: 7)
        monkeypatch.setattr("rating.store.natural_keys.key_of", lambda *_: 7)
        await desk.send(A)
        await desk.send(cdr_json(id="u", calling=STRANGER), cdr_json(id="v", calling=STRANGER))
        await desk.import_stranger()
        assert await desk.recycle() == (2, 0, 0)
        assert sorted(line["id"] for line in await desk.site.exported()) == ["a", "u", "v"]


class TestMending:
    @pytest.mark.parametrize(
        ("line", "mend", "expected"),
        [
            (U, Mend(set={"calling": "+" + CALLING}), {"line": "+" + CALLING, "id": "u"}),
            (U, Mend(replace=(Replacement("calling", STRANGER, CALLING),)), {"line": "+" + CALLING}),
            (U, Mend(replace=(Replacement("calling", STRANGER[1:], CALLING),)), {"line": "+" + CALLING}),
            (cdr_json(calling="0101"), Mend(replace=(Replacement("calling", "0101", CALLING),)), {"duration": 61}),
            (cdr_json(duration=-1), Mend(set={"duration": "6.5"}), {"duration": 6.5}),
            (cdr_json(duration="61"), Mend(set={"duration": "61"}), {"duration": 61}),
            (cdr_json(called="x", shoe=raw("1.50")), Mend(set={"called": "16175550123"}), {"called": "+16175550123"}),
            (cdr_json(service="nothing"), Mend(set={"service": ""}), {"service": "long-distance"}),
            (b"garbage", Mend(line=cdr_json(id="x")), {"id": "x"}),
            (U, Mend(set={"start": "2026-10-01T00:00:00Z", "calling": CALLING}), {"start": "2026-10-01T00:00:00Z"}),
        ],
    )
    async def test_a_mended_record_is_recycled(
        self, desk: Desk, line: bytes, mend: Mend, expected: dict[str, Any]
    ) -> None:
        assert await desk.send(line) == (0, 0, 1)
        assert (await desk.recycler.mend(Selection((1,)), mend, ADA)).mended == 1
        record = await desk.record(1)
        assert (record.raw, record.state) == (line, "open")
        assert await desk.recycle(1) == (1, 0, 0)
        (transaction,) = await desk.site.exported()
        exported = json.loads(msgspec.json.Encoder(decimal_format="number").encode(transaction))
        assert exported | expected == exported
        view = await desk.recycler.record(1)
        assert view
        assert [one.change for one in view.changes] == ["mended", "recycled"]

    @pytest.mark.parametrize(
        ("line", "mend", "words"),
        [
            (U, Mend(set={"called": "nobody"}), "bad-number: called 'nobody'"),
            (U, Mend(set={"id": ""}), "malformed: id is missing"),
            (U, Mend(line=b"{}"), "malformed: id is missing"),
            (U, Mend(line=U.replace(b",", b",\n", 1)), "one line"),
            (b"garbage", Mend(set={"called": CALLING}), "give the whole line"),
        ],
    )
    async def test_what_cannot_be_read_is_refused_in_words_and_stays(
        self, desk: Desk, line: bytes, mend: Mend, words: str
    ) -> None:
        await desk.send(line)
        done = await desk.recycler.mend(Selection((1,)), mend, ADA)
        assert (done.mended, done.refused) == (0, 1)
        assert words in done.refusals[0].words
        assert (await desk.record(1)).mended is None

    async def test_many_are_mended_where_the_value_is_the_old_one(self, desk: Desk) -> None:
        await desk.send(*(cdr_json(id=str(n), calling="+101" if n % 2 else "+102") for n in range(10)))
        mend = Mend(replace=(Replacement("calling", "101", "+" + CALLING),))
        done = await desk.recycler.mend(Selection(reason="unknown-line"), mend, ADA)
        assert (done.mended, done.unchanged, done.refused) == (5, 5, 0)
        assert await desk.recycle() == (5, 0, 5)

    async def test_a_record_of_another_format_is_mended_by_the_names_of_the_native_one(self, desk: Desk) -> None:
        line = ASTERISK.replace(b"12125550142", STRANGER.encode())
        await desk.write(self._asterisk(desk, line))
        record = await desk.record(1)
        assert (record.reason, record.format) == ("unknown-line", "asterisk-csv America/New_York")
        await desk.recycler.mend(Selection((1,)), Mend(set={"calling": CALLING}), ADA)
        assert (await desk.record(1)).mended_format == "ndjson"
        assert await desk.recycle(1) == (1, 0, 0)
        (transaction,) = await desk.site.exported()
        assert (transaction["start"], transaction["duration"]) == ("2026-11-20T14:07:31Z", 61)
        assert await desk.write(self._asterisk(desk, line)) == (0, 1, 0)

    async def test_a_row_that_cannot_be_read_is_mended_by_its_columns(self, desk: Desk) -> None:
        await desk.write(self._asterisk(desk, ASTERISK.replace(b"12125550142", b"s")))
        assert await desk.states() == ["bad-number"]
        done = await desk.recycler.mend(Selection((1,)), Mend(set={"calling": CALLING}), ADA)
        assert "no column calling" in done.refusals[0].words
        await desk.recycler.mend(Selection((1,)), Mend(replace=(Replacement("src", "s", CALLING),)), ADA)
        assert (await desk.record(1)).mended_format == "asterisk-csv America/New_York"
        assert await desk.recycle(1) == (1, 0, 0)

    async def test_a_row_may_be_replaced_by_a_line_of_the_native_format(self, desk: Desk) -> None:
        await desk.write(self._asterisk(desk, b"torn,row"))
        assert (await desk.recycler.mend(Selection((1,)), Mend(line=cdr_json()), ADA)).refused == 1
        assert (await desk.recycler.mend(Selection((1,)), Mend(line=cdr_json(), ndjson=True), ADA)).mended == 1
        assert await desk.recycle(1) == (1, 0, 0)

    @staticmethod
    def _asterisk(desk: Desk, *lines: bytes) -> Batch:
        zone = "America/New_York"
        maker = desk.front.begin("pop-nyc", desk.site.numbers_of["pop-nyc"], NOW, None, f"asterisk-csv {zone}")
        maker.add(list(lines), parser_of("asterisk-csv", ZoneInfo(zone)))
        return maker.batch

    async def test_a_line_replaces_that_of_one_record_only(self, desk: Desk) -> None:
        await desk.send(U, U2)
        for selection in (Selection(), Selection((1, 2)), Selection(reason="unknown-line")):
            with pytest.raises(NotSelectable, match="one record"):
                await desk.recycler.mend(selection, Mend(line=A), ADA)
        with pytest.raises(NotSelectable, match="nothing to mend"):
            await desk.recycler.mend(Selection((1,)), Mend(), ADA)


class TestSelections:
    @pytest.mark.parametrize(
        ("which", "expected"),
        [
            ({}, [1, 2, 3, 4]),
            ({"ids": (4, 1, 1, 99)}, [1, 4]),
            ({"reason": "unknown-line"}, [1, 3]),
            ({"reason": "nonsense"}, []),
            ({"source": "pop-lax"}, [3, 4]),
            ({"source": "pop-lax", "reason": "malformed"}, [4]),
            ({"line": STRANGER}, [1]),
            ({"line": "442079460018"}, [1, 3]),
            ({"arrived_from": LATER}, [3, 4]),
            ({"arrived_before": LATER}, [1, 2]),
        ],
    )
    async def test_what_is_selected_is_tried_and_nothing_else(
        self, desk: Desk, which: dict[str, Any], expected: list[int]
    ) -> None:
        await desk.send(U, b"x")
        await desk.send(cdr_json(calling="+101"), b"y", source="pop-lax", arrived_at=LATER)
        done = await desk.recycler.discard(Selection(**which), ADA, "why not")
        assert done == len(expected)
        assert [record.id for record in await desk.all() if record.state == "discarded"] == expected

    async def test_an_unknown_source_is_said(self, desk: Desk) -> None:
        with pytest.raises(NotSelectable, match="no source pop-sfo"):
            await desk.recycle(source="pop-sfo")

    async def test_lists_are_paged_by_id(self, desk: Desk) -> None:
        await desk.send(*(cdr_json(id=str(n), calling=STRANGER) for n in range(5)), b"x")
        records = await desk.recycler.records("unknown-line", "pop-nyc", limit=2)
        assert [record.id for record in records] == [1, 2]
        assert [record.id for record in await desk.recycler.records("unknown-line", None, 2, 9)] == [3, 4, 5]

    async def test_many_are_taken_lot_by_lot_with_progress(self, desk: Desk) -> None:
        count = 2 * CHUNK + 10
        await desk.send(*(cdr_json(id=str(n), calling=STRANGER) for n in range(count)), b"x")
        await desk.import_stranger()
        told: list[int] = []
        done = await desk.recycler.recycle(Selection(), ADA, lambda so_far: told.append(so_far.tried))
        assert told == [CHUNK, 2 * CHUNK, count + 1]
        assert done == Recycled(count, 0, 1, {"unknown-line": count, "malformed": 1}, {"malformed": 1})


async def test_recycled_twice_at_once_it_is_stored_once(desk: Desk) -> None:
    await desk.send(*(cdr_json(id=str(n), calling=STRANGER) for n in range(50)))
    await desk.import_stranger()
    both = await asyncio.gather(desk.recycle(), desk.recycle())
    assert sorted(recycled for recycled, _, _ in both) == [0, 50]
    assert len(await desk.site.exported()) == 50


async def test_what_is_interrupted_before_its_commit_did_not_happen(desk: Desk) -> None:
    await desk.send(U)
    await desk.import_stranger()

    def end(_cx: object, _rows: object) -> None:
        raise RuntimeError

    retried = await desk.recycler._retry([await desk.record(1)], LATER)
    with pytest.raises(RuntimeError):
        await desk.site.store.recycle(retried, ADA, LATER, end)
    await desk.reopen()
    assert await desk.states() == ["unknown-line"]
    assert await desk.site.exported() == []
    assert await desk.recycle(1) == (1, 0, 0)


async def test_a_record_mended_while_it_is_recycled_is_left_alone(desk: Desk) -> None:
    await desk.send(U)
    await desk.import_stranger()
    retry = desk.recycler._retry

    async def mended_meanwhile(records: Any, now: int) -> Any:
        retried = await retry(records, now)
        await desk.recycler.mend(Selection((1,)), Mend(set={"duration": "5"}), "staff:bob")
        return retried

    desk.recycler._retry = mended_meanwhile  # type: ignore[method-assign]  # somebody else comes between
    assert await desk.recycle(1) == (0, 0, 0)
    assert await desk.states() == ["unknown-line"]
    assert (await desk.record(1)).mended is not None


def _contents(seed: Random) -> Iterator[bytes]:
    while True:
        yield cdr_json(
            id=str(seed.randrange(5)),
            start=seed.choice((START, "2026-10-31T23:59:59Z", "2026-11-20T20:00:00Z")),
            duration=seed.choice((61, 61, 62, -1)),
            calling=seed.choice(("+" + CALLING, STRANGER, "x")),
        )


@pytest.mark.parametrize("mending", [False, True], ids=["unmended", "mended"])
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_done_each_record_is_in_one_place(desk: Desk, seed: int, mending: bool) -> None:
    """Random deliveries, imports, mends, recycles, discards and restarts."""
    random = Random(seed)
    contents = _contents(random)
    sent: set[bytes] = set()
    received = 0
    for _ in range(40):
        ids = [record.id for record in await desk.all()]
        selection = Selection(tuple(random.sample(ids, min(len(ids), 2)))) if random.random() < 0.7 else Selection()
        match random.choice(("send", "send", "send", "recycle", "recycle", "mend", "discard", "import", "reopen")):
            case "send":
                lines = [next(contents) for _ in range(random.randrange(6))]
                sent.update(lines)
                received += len(lines)
                assert sum(await desk.send(*lines)) == len(lines)
            case "recycle":
                await desk.recycler.recycle(selection, ADA)
            case "mend" if mending:
                fields = {"calling": random.choice((CALLING, STRANGER)), "duration": random.choice(("61", "62"))}
                await desk.recycler.mend(selection, Mend(set=fields), ADA)
            case "discard" if selection.ids and random.random() < 0.3:
                await desk.recycler.discard(selection, ADA, "at random")
            case "import" if random.random() < 0.3:
                await desk.import_stranger()
            case "reopen":
                await desk.reopen()
        await desk.check()
    # Each content is in suspense, or was, or came straight to the transactions: once.
    records = await desk.all()
    straight = len(await desk.site.exported()) - sum(r.state == "recycled" and r.remark is None for r in records)
    assert straight + len(records) <= len(sent)
    if not mending:  # or else what a source sends may be the duplicate of a record that was mended to say so
        assert straight + len(records) == len(sent)
    counts = (await desk.site.accounted())["pop-nyc"]
    assert counts["received"] == received
    assert await desk.send(*sent) == (0, len(sent), 0)
