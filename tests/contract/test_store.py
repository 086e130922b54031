"""The contract of a store (`rating.store.port.Store`): exactly one charge, positions, ids, and what survives."""

from random import Random
from typing import Any

import msgspec
import pytest

from rating.account import Account, Line
from rating.cdr import MICROS
from rating.provisioning import ProvisioningError
from rating.store import snapshots, suspense
from rating.store.batch import Outcome, Verdict
from rating.store.errors import StoreFailed, StoreLocked
from rating.store.intake import VERDICTS
from tests.builders import (
    ACCOUNT,
    CALLING,
    NOW,
    START,
    a_position,
    a_tariff_text,
    accounts_csv,
    cdr_json,
    lines_csv,
    micros,
    raw,
)
from tests.contract.store_site import Numbers, Site, numbers

STRANGER = "+19995550100"

RECORDS = {
    "A": cdr_json(id="a"),
    "a": cdr_json(id="a", duration=raw("61.0"), start="2026-11-20T14:07:31Z", calling=CALLING),  # the same, respelled
    "A2": cdr_json(id="a", duration=62),
    "A3": cdr_json(id="a", x=1),
    "B": cdr_json(id="b"),
    "U": cdr_json(id="u", calling=STRANGER),
    "u": cdr_json(id="u", calling=STRANGER[1:], type="direct"),
    "U2": cdr_json(id="u", calling=STRANGER, duration=62),
    "UA": cdr_json(id="u"),
    "M": cdr_json(id="m", duration=-1),
    "m": cdr_json(id="m", duration=raw("-1.0")),
    "M2": cdr_json(id="m", duration=-2),
    "MA": cdr_json(id="m"),
    "X": b"not a record",
    "X2": b"not a record ",
    "-": b"",
}
"""By letter a natural key, by number another content; small letters are other words for the same."""


@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        # A commit is "batch | batch"; the numbers are accepted, duplicate and suspended of each.
        (["A"], [[(1, 0, 0)]]),
        ([""], [[(0, 0, 0)]]),
        (["- A - B -"], [[(2, 0, 0)]]),
        (["A A"], [[(1, 1, 0)]]),
        (["A a A"], [[(1, 2, 0)]]),
        (["A | a"], [[(1, 0, 0), (0, 1, 0)]]),
        (["A B | B A | A"], [[(2, 0, 0), (0, 2, 0), (0, 1, 0)]]),
        (["A", "a"], [[(1, 0, 0)], [(0, 1, 0)]]),
        (["A", "A B", "B"], [[(1, 0, 0)], [(1, 1, 0)], [(0, 1, 0)]]),
        # other content under the same key
        (["A A2"], [[(1, 0, 1)]]),
        (["A | A2"], [[(1, 0, 0), (0, 0, 1)]]),
        (["A", "A2"], [[(1, 0, 0)], [(0, 0, 1)]]),
        (["A", "A2 A2"], [[(1, 0, 0)], [(0, 1, 1)]]),
        (["A A2 A2 A A3"], [[(1, 2, 2)]]),
        (["A", "A2", "A2"], [[(1, 0, 0)], [(0, 0, 1)], [(0, 1, 0)]]),
        (["A", "A2", "A"], [[(1, 0, 0)], [(0, 0, 1)], [(0, 1, 0)]]),
        (["A", "A2", "A3", "A3 A2 A"], [[(1, 0, 0)], [(0, 0, 1)], [(0, 0, 1)], [(0, 3, 0)]]),
        (["A", "A2 | A2"], [[(1, 0, 0)], [(0, 0, 1), (0, 1, 0)]]),
        # in suspense, with a key
        (["U U"], [[(0, 1, 1)]]),
        (["U | u"], [[(0, 0, 1), (0, 1, 0)]]),
        (["U", "u"], [[(0, 0, 1)], [(0, 1, 0)]]),
        (["U", "U2"], [[(0, 0, 1)], [(0, 0, 1)]]),
        (["U", "U2", "U U2"], [[(0, 0, 1)], [(0, 0, 1)], [(0, 2, 0)]]),
        (["U", "UA"], [[(0, 0, 1)], [(0, 0, 1)]]),
        (["U", "UA", "UA U"], [[(0, 0, 1)], [(0, 0, 1)], [(0, 2, 0)]]),
        (["UA", "U"], [[(1, 0, 0)], [(0, 0, 1)]]),
        (["UA", "U", "UA U"], [[(1, 0, 0)], [(0, 0, 1)], [(0, 2, 0)]]),
        (["M m"], [[(0, 1, 1)]]),
        (["M", "m"], [[(0, 0, 1)], [(0, 1, 0)]]),
        (["M", "M2"], [[(0, 0, 1)], [(0, 0, 1)]]),
        (["M", "MA"], [[(0, 0, 1)], [(0, 0, 1)]]),
        (["M", "MA", "MA M"], [[(0, 0, 1)], [(0, 0, 1)], [(0, 2, 0)]]),
        (["MA", "M", "MA M"], [[(1, 0, 0)], [(0, 0, 1)], [(0, 2, 0)]]),
        # in suspense, known by its bytes
        (["X X"], [[(0, 1, 1)]]),
        (["X", "X"], [[(0, 0, 1)], [(0, 1, 0)]]),
        (["X", "X2"], [[(0, 0, 1)], [(0, 0, 1)]]),
        # everything at once
        (["A U M X A2 B | A U M X", "B X A2 U2"], [[(2, 0, 4), (0, 4, 0)], [(0, 3, 1)]]),
    ],
)
async def test_a_record_is_taken_once_however_it_comes_again(
    site: Site, commits: list[str], expected: list[list[Numbers]], reopened: bool
) -> None:
    for commit, outcomes in zip(commits, expected, strict=True):
        batches = [site.batch(*(RECORDS[name] for name in names.split())) for names in commit.split("|")]
        assert [numbers(outcome) for outcome in await site.commit(*batches)] == outcomes
        if reopened:
            await site.reopen()
    sums = [sum(outcome[place] for outcomes in expected for outcome in outcomes) for place in range(3)]
    assert len(await site.exported()) == sums[0]
    assert len(await site.suspended()) == sums[2]
    counts = (await site.accounted())["pop-nyc"]
    assert counts == {
        "received": sum(sums), "stored": sums[0], "duplicate": sums[1], "suspended": sums[2], "discarded": 0,
    }  # fmt: skip


async def test_a_conflict_leaves_both_visible(site: Site) -> None:
    await site.send(RECORDS["A"])
    await site.send(RECORDS["A2"])
    (transaction,) = await site.exported()
    assert (transaction["id"], transaction["duration"]) == ("a", 61)
    assert await site.suspended() == [("conflict", RECORDS["A2"])]
    assert await site.store.read(suspense.count_by_reason) == {"conflict": 1}


async def test_what_is_in_suspense_is_there_as_it_arrived(site: Site) -> None:
    lines = [b"\xff\x00 not utf-8", cdr_json(id="m", duration=-1).replace(b",", b" ,"), b"[" * 60_000]
    assert await site.send(*lines) == (0, 0, 3)
    assert [raw for _, raw in await site.suspended()] == lines


@pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
async def test_a_suspended_record_stays_a_duplicate_when_its_line_has_been_provisioned(
    site: Site, reopened: bool
) -> None:
    assert await site.send(RECORDS["U"]) == (0, 0, 1)
    await site.store.import_lines(lines_csv(f"{STRANGER},{ACCOUNT},Transcontinental,long-distance,,,"))
    if reopened:
        await site.reopen()
    await site.follow()
    assert await site.send(RECORDS["u"]) == (0, 1, 0)
    assert await site.send(RECORDS["U2"]) == (0, 0, 1)  # another content: a conflict, though it could be rated
    assert await site.exported() == []
    assert [reason for reason, _ in await site.suspended()] == ["unknown-line", "conflict"]


@pytest.mark.parametrize("first", ["before", "after"])
async def test_a_record_on_both_sides_of_an_import_is_still_one(site: Site, first: str) -> None:
    before = site.batch(RECORDS["U"])
    await site.store.import_lines(lines_csv(f"{STRANGER},{ACCOUNT},Transcontinental,long-distance,,,"))
    await site.follow()
    after = site.batch(RECORDS["U"])
    outcomes = await site.commit(*((before, after) if first == "before" else (after, before)))
    assert sorted(numbers(outcome)[1] for outcome in outcomes) == [0, 1]
    assert len(await site.exported()) + len(await site.suspended()) == 1


@pytest.mark.parametrize(
    ("line", "other"),
    [
        (cdr_json(), cdr_json(start="2026-11-20T14:07:32Z")),
        (cdr_json(), cdr_json(start="2026-11-20T14:07:31.000001Z")),
        (cdr_json(), cdr_json(start="2026-10-20T14:07:31Z")),  # another month
        (cdr_json(), cdr_json(id="a81f-0002")),  # records that differ only in id
        (cdr_json(), cdr_json(id="A81F-0001")),
        (cdr_json(), cdr_json(id="a81f-0001 ")),
        (cdr_json(id="a"), cdr_json(id="a\0")),
        (cdr_json(id="a"), cdr_json(id="")),
        (cdr_json(id="é"), cdr_json(id="e\u0301")),
        (cdr_json(id="1"), cdr_json(id="01")),
        (cdr_json(id="1"), cdr_json(id="1.0")),
    ],
)
async def test_another_id_or_start_is_another_call(site: Site, line: bytes, other: bytes) -> None:
    assert await site.send(line, other) == (2, 0, 0)
    assert await site.send(other, line) == (0, 2, 0)


async def test_another_sources_ids_are_anothers(site: Site) -> None:
    both = [site.batch(RECORDS["A"], RECORDS["X"], source=source) for source in ("pop-nyc", "pop-lax")]
    assert [numbers(outcome) for outcome in await site.commit(*both)] == [(1, 0, 1), (1, 0, 1)]
    assert await site.send(RECORDS["A2"], RECORDS["X"], source="pop-lax") == (0, 1, 1)
    assert sorted(line["source"] for line in await site.exported()) == ["pop-lax", "pop-nyc"]
    assert {source: counts["received"] for source, counts in (await site.accounted()).items()} == {
        "pop-lax": 4, "pop-nyc": 2,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
async def test_of_random_deliveries_every_content_is_visible_once(site: Site, seed: int) -> None:
    """Whatever is sent in whatever batches and commits: each (key, content) is a transaction or in suspense, once."""
    random = Random(seed)
    sent: set[bytes] = set()
    received = 0
    for _ in range(30):
        batches = []
        for _ in range(random.randrange(1, 4)):
            lines = [
                cdr_json(
                    id=str(random.randrange(6)),
                    start=random.choice((START, "2026-10-31T23:59:59Z")),
                    duration=random.choice((61, 62, 62, -1)),
                    calling=random.choice(("+" + CALLING, "+" + CALLING, STRANGER)),
                )
                for _ in range(random.randrange(6))
            ]
            sent.update(lines)
            received += len(lines)
            batches.append(site.batch(*lines))
        for batch, outcome in zip(batches, await site.commit(*batches), strict=True):
            assert sum(numbers(outcome)) == batch.received
        if random.random() < 0.1:
            await site.reopen()
    assert len(await site.exported()) + len(await site.suspended()) == len(sent)
    assert (await site.accounted())["pop-nyc"]["duplicate"] == received - len(sent)


class TestVerdicts:
    async def test_suspended_records_are_named_by_line_id_and_reason(self, site: Site) -> None:
        await site.send(RECORDS["A"])
        (outcome,) = await site.commit(
            site.batch(*(RECORDS[name] for name in ("U", "A", "X", "B", "A2", "-", "M", "U")))
        )
        assert numbers(outcome) == (1, 2, 4)
        assert outcome.records == [
            Verdict(1, "u", "unknown-line"),
            Verdict(3, None, "malformed"),
            Verdict(5, "a", "conflict"),
            Verdict(7, "m", "malformed"),
        ]

    async def test_the_first_hundred_are_named(self, site: Site) -> None:
        await site.send(cdr_json(id="0"))
        lines = [cdr_json(id=str(number), duration=-1) for number in range(1, VERDICTS + 10)]
        (outcome,) = await site.commit(site.batch(*lines, cdr_json(id="0", duration=62)))
        assert numbers(outcome) == (0, 0, VERDICTS + 10)
        assert [verdict.line for verdict in outcome.records] == [*range(1, VERDICTS + 1)]


class TestPositions:
    BODY = (RECORDS["A"], RECORDS["U"], RECORDS["A"])

    @pytest.mark.parametrize("reopened", [False, True], ids=["running", "reopened"])
    async def test_the_same_body_at_the_same_position_is_all_duplicate(self, site: Site, reopened: bool) -> None:
        assert await site.send(*self.BODY, position=a_position(1)) == (1, 1, 1)
        if reopened:
            await site.reopen()
        assert await site.send(*self.BODY, position=a_position(1)) == (0, 3, 0)

    async def test_the_same_position_twice_in_one_commit_is_taken_once(self, site: Site) -> None:
        one, other = (site.batch(*self.BODY, position=a_position(1)) for _ in range(2))
        assert [numbers(outcome) for outcome in await site.commit(one, other)] == [(1, 1, 1), (0, 3, 0)]

    @pytest.mark.parametrize("together", [False, True], ids=["later", "in one commit"])
    async def test_another_body_at_a_taken_position_is_refused_whole(self, site: Site, together: bool) -> None:
        first = site.batch(RECORDS["A"], position=a_position(1))
        second = site.batch(RECORDS["B"], RECORDS["U"], RECORDS["A"], position=a_position(1, body=b"other"))
        if together:
            _, outcome = await site.commit(first, second)
        else:
            await site.commit(first)
            (outcome,) = await site.commit(second)
        assert outcome == Outcome(conflict=True)
        assert [line["id"] for line in await site.exported()] == ["a"]
        assert await site.suspended() == []
        assert (await site.accounted())["pop-nyc"]["received"] == 1
        assert await site.send(RECORDS["B"], position=a_position(2)) == (1, 0, 0)

    async def test_the_same_body_at_another_position_is_known_by_its_records(self, site: Site) -> None:
        await site.send(*self.BODY, position=a_position(1))
        assert await site.send(*self.BODY, position=a_position(2)) == (0, 3, 0)
        assert await site.send(*self.BODY, position=a_position(1, "e2")) == (0, 3, 0)
        assert await site.send(*self.BODY) == (0, 3, 0)

    async def test_of_each_epoch_the_last_and_the_gaps_are_known(self, site: Site) -> None:
        source = site.numbers_of["pop-nyc"]
        assert await site.store.positions(source) == {}
        for sequence in (2, 1, 9, 5):
            await site.send(position=a_position(sequence))
        await site.send(position=a_position(7, "e2"))
        await site.send(position=a_position(3), source="pop-lax")
        assert await site.store.positions(source) == {
            "e1": {"last": 9, "gaps": [[3, 4], [6, 8]]},
            "e2": {"last": 7, "gaps": []},
        }
        await site.send(position=a_position(7))
        await site.send(position=a_position(4))
        await site.reopen()
        assert (await site.store.positions(source))["e1"] == {"last": 9, "gaps": [[3, 3], [6, 6], [8, 8]]}

    async def test_a_sequence_and_an_epoch_may_be_of_any_size(self, site: Site) -> None:
        for sequence in (0, 2**63 - 1):
            await site.send(position=a_position(sequence, "e/é" * 33))
        assert await site.store.positions(site.numbers_of["pop-nyc"]) == {
            "e/é" * 33: {"last": 2**63 - 1, "gaps": [[1, 2**63 - 2]]}
        }

    async def test_what_was_not_committed_has_not_happened(self, site: Site) -> None:
        await site.send(RECORDS["A"], position=a_position(1))

        def fail(_cx: object, _rows: object) -> None:
            raise ZeroDivisionError

        batch = site.batch(RECORDS["B"], cdr_json(start="2026-08-01T00:00:00Z"), RECORDS["U"], position=a_position(2))
        with pytest.raises(ZeroDivisionError):
            await site.store.write(lambda: [batch], fail)
        await site.reopen()
        assert await site.store.positions(site.numbers_of["pop-nyc"]) == {"e1": {"last": 1, "gaps": []}}
        assert [line["id"] for line in await site.exported()] == ["a"]
        assert await site.suspended() == []
        assert (await site.accounted())["pop-nyc"]["received"] == 1
        assert await site.send(RECORDS["B"], RECORDS["U"], position=a_position(2)) == (1, 0, 1)


class TestIds:
    MONTHS = ("2026-11-20T14:07:31Z", "2026-09-30T23:59:59Z", "2026-10-01T00:00:00Z", "2025-12-31T23:59:59.999999Z")

    def lines(self, first: int, number: int) -> list[bytes]:
        starts = self.MONTHS
        return [cdr_json(id=str(id_), start=starts[id_ % len(starts)]) for id_ in range(first, first + number)]

    async def test_ids_ascend_over_months_commits_and_starts_of_the_program(self, site: Site) -> None:
        seen = 0
        for first in (0, 40, 80):
            admission = await site.write(site.batch(*self.lines(first, 20)), site.batch(*self.lines(first, 40)))
            ids = [row[0] for row in admission.stored]
            assert len(ids) == 40
            assert ids == sorted(set(ids))
            assert ids[0] > seen
            seen = ids[-1]
            assert site.store.last_id == seen
            await site.reopen()
            assert site.store.last_id == seen
        assert max(line["transaction"] for line in await site.exported()) == seen

    async def test_the_rows_that_were_admitted_are_the_ones_that_are_stored(self, site: Site) -> None:
        await site.send(*self.lines(0, 5), RECORDS["U"])
        batches = [
            site.batch(*self.lines(3, 9), RECORDS["UA"], RECORDS["X"], *self.lines(3, 2)),
            site.batch(*self.lines(9, 9)),
        ]
        admission = await site.write(*batches)
        told = {row[0]: row[2] for row in admission.stored}
        assert sorted(told.values(), key=int) == [str(id_) for id_ in range(5, 18)]
        stored = {line["transaction"]: line["id"] for line in await site.exported()}
        assert {id_: stored[id_] for id_ in told} == told

    @pytest.mark.parametrize("new", [(), (RECORDS["B"],)], ids=["nothing new", "one new"])
    @pytest.mark.parametrize(
        "again", [RECORDS["A"], RECORDS["A2"], RECORDS["X"]], ids=["same", "conflict", "malformed"]
    )
    async def test_the_last_id_is_that_of_a_transaction_also_after_records_that_became_none(
        self, site: Site, again: bytes, new: tuple[bytes, ...]
    ) -> None:
        await site.send(RECORDS["A"])
        await site.send(*new, again, again)
        assert site.store.last_id == max(line["transaction"] for line in await site.exported())

    @pytest.mark.parametrize("new", [(), (RECORDS["B"],)], ids=["nothing new", "one new"])
    async def test_a_transaction_after_a_snapshot_is_replayed_whatever_came_between(
        self, site: Site, new: tuple[bytes, ...]
    ) -> None:
        """A snapshot that covers `last_id` must not cover an id that is given away later."""
        await site.send(RECORDS["A"])
        await site.send(*new, RECORDS["A"])
        covers_id = site.store.last_id
        await site.store.save_snapshot(covers_id, [])
        await site.reopen()
        await site.send(RECORDS["UA"])
        await site.reopen()
        assert len(await site.replayed(covers_id)) == 1

    async def test_a_batch_larger_than_one_statement_is_one_batch(self, site: Site) -> None:
        lines = [cdr_json(id=str(number)) for number in range(2_501)]
        assert await site.send(*lines[1_499:1_501]) == (2, 0, 0)
        assert await site.send(*lines, lines[0]) == (2_499, 3, 0)
        assert {line["id"] for line in await site.exported()} == {str(number) for number in range(2_501)}


@pytest.mark.parametrize(
    "fields",
    [
        {"start": "0001-01-01T00:00:00+23:59"},
        {"start": "9999-12-31T23:59:59-23:59"},
        {"answer": "9999-12-31T23:59:59-23:59"},
        {"x": raw("1e400")},
        {"x": raw("1e9999999")},
        {"x": raw("[" * 450 + "]" * 450)},
        {"units": 10**12, "type": "data"},
        {"duration": 10**9},
        {"id": "\0"},
        {"place": "\0" * 3000},
        {"partial": raw("9" * 400)},
    ],
)
async def test_no_record_stops_the_store_or_an_export(site: Site, fields: dict[str, Any]) -> None:
    assert sum(await site.send(cdr_json(id="good"), cdr_json(**fields))) == 2
    assert await site.send(cdr_json(**fields)) == (0, 1, 0)
    assert await site.send(cdr_json(id="after")) == (1, 0, 0)
    exported = await site.exported()
    assert {"good", "after"} <= {line["id"] for line in exported}
    msgspec.json.encode(exported)


class TestProjections:
    async def test_without_a_snapshot_everything_is_to_be_replayed(self, site: Site) -> None:
        assert await site.store.snapshot() == (0, [])
        assert await site.replayed() == []

    async def test_a_snapshot_is_replaced_whole_and_survives(self, site: Site) -> None:
        await site.store.save_snapshot(5, [b"one", b"two\0", b"x" * 100_000])
        assert await site.store.snapshot() == (5, [b"one", b"two\0", b"x" * 100_000])
        await site.store.save_snapshot(7, [b"three"])
        await site.reopen()
        assert await site.store.snapshot() == (7, [b"three"])

    async def test_parts_that_have_not_changed_stay_unless_they_are_gone(self, site: Site) -> None:
        await site.store.save_snapshot(5, [b"one", b"two", b"three"])
        await site.store.save_snapshot(7, [b"one", b"two", b"four", b"five"], 2)
        assert await site.store.snapshot() == (7, [b"one", b"two", b"four", b"five"])
        await site.store.transact(snapshots.discard)
        await site.store.save_snapshot(8, [b"one", b"two", b"six"], 2)
        assert await site.store.snapshot() == (8, [b"one", b"two", b"six"])

    async def test_what_came_after_an_id_is_replayed_and_nothing_else(self, site: Site) -> None:
        lines = TestIds().lines(0, 12)
        await site.send(*lines[:8])
        after = site.store.last_id
        await site.send(*lines[8:], RECORDS["U"])
        async with site.in_flight(site.batch(RECORDS["B"])):
            exported = {line["transaction"]: line for line in await site.exported()}
            for first, number in ((0, 12), (after, 4), (after + 4, 0)):
                replayed = await site.replayed(first)
                assert len(replayed) == number
                for number, account, answer_at, charge_micros, duration_us in replayed:
                    line = exported[number]
                    assert number > first
                    assert (account, line["charge"]) == (ACCOUNT, "2.6000")
                    assert (charge_micros, duration_us) == (2_600_000, 61 * MICROS)
                    assert answer_at == micros(line["answer"])

    async def test_open_suspense_is_counted_by_reason(self, site: Site) -> None:
        await site.send(*(RECORDS[name] for name in ("A", "A2", "U", "M", "X", "X")))
        assert await site.store.read(suspense.count_by_reason) == {"conflict": 1, "malformed": 2, "unknown-line": 1}

    async def test_what_arrived_is_accounted_for_on_its_day(self, site: Site) -> None:
        day = 86_400 * MICROS
        midnight = NOW // day * day + day
        await site.send(RECORDS["A"], RECORDS["U"], arrived_at=midnight - 1)
        await site.send(RECORDS["A"], RECORDS["B"], arrived_at=midnight)
        days = [(await site.accounted(at))["pop-nyc"] for at in (midnight - 1, midnight, midnight + day)]
        assert [tuple(counts.values()) for counts in days] == [(2, 1, 0, 1, 0), (2, 1, 1, 0, 0), (0, 0, 0, 0, 0)]


class TestProvisioning:
    FULL = accounts_csv(
        '"4000012346","Roe, Jane",jane@example.net,EUR,Europe/Berlin,2500.50,gold,bob,31',
        "4000012347,Größe,,USD,UTC,,,,",
    )

    async def test_accounts_come_back_as_they_were_imported(self, site: Site) -> None:
        assert await site.store.import_accounts(self.FULL, NOW) == 2
        await site.reopen()
        found = {account.account: account for account in (await site.store.provisioned()).accounts}
        assert found["4000012346"] == Account.of(
            "4000012346", "Roe, Jane", "jane@example.net", "EUR", "Europe/Berlin", 2_500_500_000, "gold", "bob", 31
        )
        assert found["4000012347"] == Account.of("4000012347", "Größe", None, "USD", "UTC", None, None, None, 1)
        assert found.keys() == {ACCOUNT, "4000012346", "4000012347"}

    async def test_an_account_that_comes_again_is_replaced(self, site: Site) -> None:
        await site.store.import_accounts(self.FULL, NOW)
        await site.store.import_accounts(accounts_csv("4000012346,Jane Roe,,USD,UTC,,,,"), NOW + 1)
        found = {account.account: account for account in (await site.store.provisioned()).accounts}
        assert found["4000012346"] == Account.of("4000012346", "Jane Roe", None, "USD", "UTC", None, None, None, 1)
        assert len(found) == 3

    async def test_lines_keep_the_order_in_which_they_first_came(self, site: Site) -> None:
        rows = [f"123,{ACCOUNT},{name},{name},sw,gold," for name in ("zeta", "alpha", "mu")]
        assert await site.store.import_lines(lines_csv(*rows, f"123,{ACCOUNT},P,zeta,,,2026-06-01")) == 4
        assert await site.store.import_lines(lines_csv(f"+123,{ACCOUNT},Q,alpha,,,", f"123,{ACCOUNT},R,beta,,,")) == 2
        await site.reopen()
        columns = ", ".join(Line.__struct_fields__)
        sql = f"SELECT {columns} FROM lines WHERE line = '123' ORDER BY position"
        rows = await site.store.read(lambda cx: cx.execute(sql).fetchall())
        guided = [line for line in (await site.store.provisioned()).lines if line.line == "123"]
        assert [line.terms.provider for line in guided] == ["zeta", "Q", "mu", "P", "R"]
        assert [Line(*row) for row in rows] == [
            Line("123", "zeta", "", ACCOUNT, "zeta", "sw", "gold"),
            Line("123", "alpha", "", ACCOUNT, "Q"),
            Line("123", "mu", "", ACCOUNT, "mu", "sw", "gold"),
            Line("123", "zeta", "2026-06-01", ACCOUNT, "P"),
            Line("123", "beta", "", ACCOUNT, "R"),
        ]

    async def test_a_file_with_an_error_leaves_nothing(self, site: Site) -> None:
        before = await site.store.provisioned()
        with pytest.raises(ProvisioningError, match="row 3, currency"):
            await site.store.import_accounts(accounts_csv("1,A,,USD,UTC,,,,", "2,B,,usd,UTC,,,,"), NOW)
        with pytest.raises(ProvisioningError, match="row 3, account: there is no account 77"):
            await site.store.import_lines(lines_csv(f"123,{ACCOUNT},P,s,,,", "124,77,P,s,,,"))
        assert await site.store.provisioned() == before

    async def test_every_version_of_a_tariff_has_a_number_and_the_last_imported_of_a_date_is_in_force(
        self, site: Site
    ) -> None:
        dated = [a_tariff_text(toml=f'valid_from = "2026-06-01"\nrounding = "{way}"') for way in ("up", "down")]
        gold = a_tariff_text("gold", ",Côte d’Ivoire 😀,,0,0,0.5,60,1/1")
        versions = [await site.import_tariff(text) for text in (*dated, gold, dated[1])]
        assert versions[:3] == sorted(set(versions[:3]))
        assert versions[3] == versions[1], "the very text that is in force is no new version"
        await site.reopen()
        in_force = (await site.store.provisioned()).tariffs
        assert in_force[1:] == [(versions[1], dated[1]), (versions[2], gold)]
        assert await site.import_tariff(dated[0]) > max(versions), "an old text again is a new version"

    async def test_sources_keep_their_numbers(self, site: Site) -> None:
        before = dict(await site.store.register_sources(["pop-sfo", "a"]))
        await site.reopen()
        after = dict(await site.store.register_sources(["b", "pop-sfo"]))
        assert {name: after[name] for name in before} == before
        assert len(set(after.values())) == len(after) == 5


class TestOneWriter:
    async def test_a_second_writer_is_refused_and_told_why(self, site: Site) -> None:
        with pytest.raises(StoreLocked, match="is being written by another process"):
            await site.engine.open()
        assert await site.send(RECORDS["A"]) == (1, 0, 0)
        await site.reopen()

    @pytest.mark.parametrize(
        "sql",
        ["DELETE FROM sources", "INSERT INTO sources (name) VALUES ('x')", "CREATE TABLE mine (a INTEGER)",
         "DROP TABLE sources", "UPDATE accounts SET name = 'x'"],
    )  # fmt: skip
    async def test_a_reader_cannot_write(self, site: Site, sql: str) -> None:
        with pytest.raises(StoreFailed):
            await site.store.read(lambda cx: cx.execute(sql))
        assert dict(await site.store.register_sources([])) == dict(site.numbers_of)

    async def test_a_reader_sees_what_is_committed_and_nothing_else(self, site: Site) -> None:
        async with site.in_flight(site.batch(RECORDS["A"], RECORDS["U"], position=a_position(1))):
            assert (await site.exported(), await site.suspended()) == ([], [])
            assert await site.store.positions(site.numbers_of["pop-nyc"]) == {}
            assert site.store.last_id == 0
        assert (len(await site.exported()), len(await site.suspended()), site.store.last_id) == (1, 1, 1)
