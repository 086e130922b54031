"""Behind the seam: what is acknowledged when, by a store whose every step the test takes by hand."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from mediation.pipeline import owner as owner_module
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import Delivery
from mediation.pipeline.room import Overloaded
from mediation.pipeline.sender import Sender
from mediation.pipeline.stopping import Stopping, Unknown
from rating.counter_parts import unpack
from rating.counters import Counters
from rating.store.batch import Batch, Outcome
from rating.store.errors import StoreFailed
from rating.store.intake import Admission
from rating.store.port import Count, Store
from tests.builders import ACCOUNT, NOW, a_row, an_account, cdr_json


async def others_run() -> None:
    """Every other task goes on until it waits for something that the test has not done yet."""
    for _ in range(20):
        turn = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turn.set_result, None)
        await turn


def a_batch(records: int, source: int = 1) -> Batch:
    """Only its size matters here: the store is not a real one."""
    return Batch(source, NOW, records, [cdr_json()] * records, {}, {}, [])


class HandStore:
    """Admits and commits when the test says so: `steps` holds what waits, and how to go on."""

    def __init__(self) -> None:
        self.admitted: list[list[Batch]] = []
        self.committed: list[list[Batch]] = []
        self.snapshots: list[tuple[int, list[bytes]]] = []
        self.waiting: asyncio.Future[None] | None = None
        self.step = ""
        self.failed = False
        self._next_id = 1
        self._turn = asyncio.Lock()

    async def _wait(self, step: str) -> None:
        assert self.waiting is None, "one thing at a time"
        self.step, self.waiting = step, asyncio.get_running_loop().create_future()
        try:
            await self.waiting
        finally:
            self.step, self.waiting = "", None

    async def write(
        self, take: Callable[[], Sequence[Batch]], count: Count, when: Callable[[], bool] | None = None
    ) -> Admission:
        async with self._turn:
            while when and not when():
                await self._wait("put off")
            if self.failed:
                raise StoreFailed("an earlier write failed")
            batches = take()
            if not batches:
                return Admission([], [], self._next_id)
            try:
                admission = await self._admit(batches)
                count(None, admission.stored)
                await self._wait("commit")
            except Exception:
                self.failed = True
                raise
            self.committed.append(list(batches))
            return admission

    async def _admit(self, batches: Sequence[Batch]) -> Admission:
        self.admitted.append(list(batches))
        await self._wait("admit")
        stored = []
        for _ in range(sum(batch.received for batch in batches)):
            stored.append(a_row(id=self._next_id, charge_micros=10))
            self._next_id += 1
        return Admission([Outcome(accepted=batch.received) for batch in batches], stored, self._next_id)

    async def save_snapshot(self, covers_id: int, parts: Sequence[bytes], unchanged: int = 0) -> None:
        await self._wait("snapshot")
        self.snapshots.append((covers_id, list(parts)))

    async def go_on(self, step: str, error: Exception | None = None) -> None:
        """Let the step that waits succeed, or fail."""
        await others_run()
        assert self.step == step
        assert self.waiting is not None
        if error is None:
            self.waiting.set_result(None)
        else:
            self.waiting.set_exception(error)
        await others_run()

    async def commit_all(self) -> None:
        """Let everything that is queued be committed."""
        await others_run()
        while self.step:
            await self.go_on(self.step)


class Pipeline:
    """An owner at work on a `HandStore`."""

    def __init__(self, max_queued: int = 100, max_commit: int = 50) -> None:
        self.store = HandStore()
        self.registry = CollectorRegistry()
        self.counters = Counters({ACCOUNT: an_account()})
        self.owner = StoreOwner(
            cast(Store, self.store),
            self.counters,
            PipelineMetrics(self.registry, {"pop-nyc": 1, "pop-lax": 2}),
            max_queued=max_queued,
            max_commit=max_commit,
        )
        self.running = asyncio.create_task(self.owner.run())
        self.puts: list[asyncio.Task[Any]] = []

    async def put(self, records: int, source: int = 1) -> "asyncio.Task[Outcome]":
        """A source that sends a batch and waits for its outcome."""
        task = asyncio.create_task(self.owner.put(a_batch(records, source)))
        self.puts.append(task)
        await others_run()
        return task

    async def refused(self, records: int, source: int = 1) -> BaseException | None:
        """Why a batch is not taken."""
        task = await self.put(records, source)
        assert task.done(), "it was taken"
        return task.exception()

    def lets_in(self, source: int = 1) -> bool:
        """Whether one more record of a source has room."""
        try:
            with self.owner.room.take(source, 1):
                return True
        except Overloaded:
            return False

    async def put_patiently(self, records: int, source: int = 1) -> "asyncio.Task[asyncio.Future[Outcome]]":
        task = asyncio.create_task(self.owner.put_patiently(a_batch(records, source)))
        self.puts.append(task)
        await others_run()
        return task

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def close(self) -> None:
        for task in [self.running, *self.puts]:
            task.cancel()
        await asyncio.gather(self.running, *self.puts, return_exceptions=True)


@pytest.fixture
async def pipeline() -> AsyncIterator[Pipeline]:
    pipeline = Pipeline()
    yield pipeline
    await pipeline.close()


@pytest.fixture
async def small() -> AsyncIterator[Pipeline]:
    """Ten records may wait, four go into a commit."""
    pipeline = Pipeline(max_queued=10, max_commit=4)
    yield pipeline
    await pipeline.close()


class TestAcknowledged:
    async def test_a_commit_is_put_off_while_more_is_being_prepared_but_not_at_the_end(
        self, pipeline: Pipeline
    ) -> None:
        with pipeline.owner.gathering.preparing(40):
            done = await pipeline.put(10)
            assert pipeline.store.step == "put off"
            await pipeline.store.go_on("put off")
            assert pipeline.store.step == "put off"
            pipeline.owner.stop()
            await pipeline.store.go_on("put off")
            await pipeline.store.commit_all()
        assert (await done).accepted == 10

    async def test_a_batch_is_acknowledged_after_its_commit_and_not_before(self, pipeline: Pipeline) -> None:
        sent = await pipeline.put(3)
        assert pipeline.store.step == "admit"
        assert not sent.done()
        await pipeline.store.go_on("admit")
        assert pipeline.store.step == "commit"
        assert not sent.done()
        await pipeline.store.go_on("commit")
        assert sent.result() == Outcome(accepted=3)

    async def test_what_comes_during_a_commit_goes_into_the_next(self, pipeline: Pipeline) -> None:
        first = await pipeline.put(1)
        await pipeline.store.go_on("admit")
        second, third = await pipeline.put(2), await pipeline.put(3)
        await pipeline.store.go_on("commit")
        assert first.done()
        assert not second.done()
        await pipeline.store.commit_all()
        assert (second.result().accepted, third.result().accepted) == (2, 3)
        assert [[batch.received for batch in commit] for commit in pipeline.store.committed] == [[1], [2, 3]]

    async def test_batches_are_committed_in_the_order_of_their_coming(self, small: Pipeline) -> None:
        for records in (4, 1, 2, 1, 2):
            await small.put(records)
        await small.store.commit_all()
        assert [[batch.received for batch in commit] for commit in small.store.committed] == [[4], [1, 2, 1], [2]]

    async def test_a_source_that_goes_away_takes_nothing_along(self, pipeline: Pipeline) -> None:
        gone, staying = await pipeline.put(1), await pipeline.put(2)
        await pipeline.store.go_on("admit")
        gone.cancel()
        await pipeline.store.commit_all()
        assert gone.cancelled()
        assert staying.result().accepted == 2
        assert pipeline.owner.queued == 0
        assert sum(len(commit) for commit in pipeline.store.committed) == 2

    async def test_an_empty_batch_is_answered_too(self, pipeline: Pipeline) -> None:
        sent = await pipeline.put(0)
        await pipeline.store.commit_all()
        assert sent.result() == Outcome()


class TestBounds:
    async def test_a_batch_that_does_not_fit_is_refused_and_not_stored(self, small: Pipeline) -> None:
        sent = await small.put(10)
        assert isinstance(await small.refused(1), Overloaded)
        assert not small.lets_in()
        await small.store.commit_all()
        assert sent.done()
        assert [[batch.received for batch in commit] for commit in small.store.committed] == [[10]]

    async def test_records_count_against_the_bound_until_they_are_committed(self, small: Pipeline) -> None:
        await small.put(6)
        await small.store.go_on("admit")
        assert (small.owner.queued, small.lets_in()) == (6, True)
        await small.put(4)
        assert (small.owner.queued, small.lets_in()) == (10, False)
        await small.store.go_on("commit")
        assert (small.owner.queued, small.lets_in()) == (4, True)
        sent = await small.put(6)
        assert not sent.done()

    async def test_a_batch_larger_than_the_bound_is_taken_when_nothing_waits(self, small: Pipeline) -> None:
        sent = await small.put(11)
        assert isinstance(await small.refused(1), Overloaded)
        await small.store.commit_all()
        assert sent.result().accepted == 11

    @pytest.mark.parametrize(
        ("batches", "commits"),
        [
            ([1, 2, 1, 1], [[1, 2, 1], [1]]),
            ([4, 4], [[4], [4]]),
            ([3, 2, 2, 3], [[3], [2, 2], [3]]),
            ([5, 1], [[5], [1]]),  # one batch always goes, however large
            ([1, 5, 1], [[1], [5], [1]]),
            ([0, 4, 0, 1], [[0, 4, 0], [1]]),
        ],
    )
    async def test_at_most_so_many_records_go_into_a_commit(
        self, small: Pipeline, batches: list[int], commits: list[list[int]]
    ) -> None:
        sent = [asyncio.create_task(small.owner.put(a_batch(records))) for records in batches]
        small.puts += sent
        await small.store.commit_all()
        assert [task.result().accepted for task in sent] == batches
        assert [[batch.received for batch in commit] for commit in small.store.committed] == commits

    async def test_a_patient_source_waits_for_room(self, small: Pipeline) -> None:
        await small.put(8)
        patient = await small.put_patiently(3)
        assert not patient.done()
        await small.store.commit_all()
        queued = patient.result()
        assert queued.result().accepted == 3

    async def test_a_patient_source_does_not_have_the_others_refused(self, small: Pipeline) -> None:
        patient = await small.put_patiently(10)
        sent = await small.put(10)
        assert isinstance(await small.refused(1), Overloaded)
        await small.store.commit_all()
        assert (patient.result().result().accepted, sent.result().accepted) == (10, 10)

    async def test_a_source_is_refused_for_its_own_records_only(self, small: Pipeline) -> None:
        huge = await small.put(400_000)
        assert isinstance(await small.refused(1), Overloaded)
        assert (small.lets_in(1), small.lets_in(2)) == (False, True)
        others = [await small.put(5, source=2), await small.put(5, source=2)]
        assert isinstance(await small.refused(1, source=2), Overloaded)
        await small.store.commit_all()
        assert [task.result().accepted for task in (huge, *others)] == [400_000, 5, 5]
        assert (small.lets_in(1), small.lets_in(2)) == (True, True)

    async def test_a_patient_source_waits_for_its_own_records_only(self, small: Pipeline) -> None:
        await small.put(400_000)
        waiting, taken = await small.put_patiently(1), await small.put_patiently(10, source=2)
        assert (waiting.done(), taken.done()) == (False, True)
        await small.store.commit_all()
        assert (waiting.result().result().accepted, taken.result().result().accepted) == (1, 10)

    async def test_a_patient_delivery_is_prepared_when_there_is_room_and_not_before(self, small: Pipeline) -> None:
        """Prepared it takes more memory than as it came."""
        prepared = []

        class Preparing:
            async def prepare(self, delivery: Delivery) -> Batch:
                prepared.append(len(delivery.lines))
                return a_batch(len(delivery.lines))

        sender = Sender("pop-nyc", 1, Preparing(), small.owner, lambda: NOW)
        small.puts += [asyncio.create_task(sender.send_patiently([b"?"] * records)) for records in (6, 4, 5)]
        await others_run()
        assert prepared == [6, 4]
        await small.store.commit_all()
        assert prepared == [6, 4, 5]

    async def test_several_patient_sources_all_come_in(self, small: Pipeline) -> None:
        await small.put(10)
        patient = [await small.put_patiently(records) for records in (7, 7, 7)]
        assert not any(task.done() for task in patient)
        await small.store.commit_all()
        assert [task.result().result().accepted for task in patient] == [7, 7, 7]

    async def test_a_patient_source_that_gives_up_is_forgotten(self, small: Pipeline) -> None:
        await small.put(10)
        patient = await small.put_patiently(5)
        patient.cancel()
        await small.store.commit_all()
        assert [[batch.received for batch in commit] for commit in small.store.committed] == [[10]]


class TestFailure:
    @pytest.mark.parametrize("step", ["admit", "commit"])
    @pytest.mark.parametrize("error", [StoreFailed("the disk is full"), ValueError("a fault of our own")])
    async def test_a_failing_store_ends_the_owner_and_acknowledges_nothing(
        self, small: Pipeline, step: str, error: Exception
    ) -> None:
        in_commit, queued = await small.put(4), await small.put(4)
        patient, waiting = await small.put_patiently(2), await small.put_patiently(5)
        if step == "commit":
            await small.store.go_on("admit")
        await small.store.go_on(step, error)
        assert small.running.exception() is error
        told = [type(failure) for failure in (in_commit.exception(), queued.exception(), waiting.exception())]
        assert told == [Unknown, Stopping, Stopping]
        assert type(patient.result().exception()) is Stopping
        assert small.store.committed == []
        assert small.owner.is_stopping

    async def test_after_a_failure_nothing_is_taken_and_nothing_is_tried_again(self, small: Pipeline) -> None:
        await small.put(1)
        await small.store.go_on("admit")
        await small.store.go_on("commit", StoreFailed("fsync"))
        assert isinstance(await small.refused(1), Stopping)
        assert isinstance((await small.put_patiently(1)).exception(), Stopping)
        await others_run()
        assert (len(small.store.admitted), small.store.step) == (1, "")

    async def test_what_was_committed_before_the_failure_stays_acknowledged(self, small: Pipeline) -> None:
        first = await small.put(1)
        await small.store.commit_all()
        second = await small.put(1)
        await small.store.go_on("admit", StoreFailed("gone"))
        assert first.result().accepted == 1
        assert isinstance(second.exception(), Stopping)

    async def test_a_failure_that_nobody_waits_for_is_not_complained_about(self, small: Pipeline) -> None:
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        gone = await small.put(1)
        await small.put_patiently(1)
        gone.cancel()
        await small.store.go_on("admit", StoreFailed("gone"))
        assert isinstance(small.running.exception(), StoreFailed)
        small.puts.clear()
        del gone
        gc.collect()
        assert complaints == []

    async def test_a_cancelled_owner_acknowledges_nothing(self, small: Pipeline) -> None:
        sent = await small.put(1)
        await small.store.go_on("admit")
        small.running.cancel()
        await others_run()
        assert small.running.cancelled()
        assert isinstance(sent.exception(), Stopping)


class TestStopping:
    async def test_stop_takes_no_more_and_commits_what_was_taken(self, small: Pipeline) -> None:
        sent = [await small.put(4), await small.put(4), await small.put(2)]
        waiting = await small.put_patiently(5)
        small.owner.stop()
        await others_run()
        assert isinstance(waiting.exception(), Stopping)
        assert isinstance(await small.refused(1), Stopping)
        assert isinstance((await small.put_patiently(1)).exception(), Stopping)
        assert not small.running.done()
        await small.store.commit_all()
        assert [task.result().accepted for task in sent] == [4, 4, 2]
        assert small.running.result() is None

    async def test_an_idle_owner_stops_at_once(self, pipeline: Pipeline) -> None:
        await others_run()
        pipeline.owner.stop()
        await others_run()
        assert pipeline.running.done()
        assert pipeline.running.result() is None
        assert pipeline.owner.is_stopping
        assert isinstance(await pipeline.refused(1), Stopping)

    async def test_a_stop_before_the_owner_runs_is_not_lost(self) -> None:
        pipeline = Pipeline()
        pipeline.owner.stop()
        await others_run()
        assert pipeline.running.result() is None
        await pipeline.close()


class TestCounters:
    @staticmethod
    def charges(counters: Counters) -> set[int]:
        return {usage.charge_micros for usage in counters}

    async def test_what_was_stored_is_counted(self, pipeline: Pipeline) -> None:
        await pipeline.put(3)
        await pipeline.put(4)
        await pipeline.store.commit_all()
        assert self.charges(pipeline.counters) == {70}
        assert pipeline.counters.covers_id == 7

    async def test_at_a_standstill_counters_and_store_are_as_of_one_transaction(self, pipeline: Pipeline) -> None:
        await pipeline.put(3)
        await pipeline.store.go_on("admit")

        async def look() -> tuple[set[int], int]:
            async with pipeline.owner.standstill():
                return self.charges(pipeline.counters), sum(map(len, pipeline.store.committed))

        looking = asyncio.create_task(look())
        await others_run()
        assert not looking.done()  # a commit is under way
        await pipeline.store.go_on("commit")
        assert await looking == ({30}, 1)

    async def test_no_commit_begins_while_somebody_looks(self, pipeline: Pipeline) -> None:
        async with pipeline.owner.standstill():
            sent = await pipeline.put(1)
            assert pipeline.store.admitted == []
        await pipeline.store.commit_all()
        assert sent.done()

    async def test_a_snapshot_is_of_what_is_committed(self, pipeline: Pipeline) -> None:
        await pipeline.put(3)
        await pipeline.store.go_on("admit")
        saving = asyncio.create_task(pipeline.owner.save_snapshot())
        await others_run()
        assert pipeline.store.step == "commit"
        await pipeline.store.commit_all()
        await saving
        ((covers_id, parts),) = pipeline.store.snapshots
        assert covers_id == 3
        assert {usage.charge_micros for usage in unpack(parts)} == {30}

    async def test_what_was_counted_again_at_the_start_is_in_a_snapshot_at_the_end(self) -> None:
        store, counters = HandStore(), Counters({ACCOUNT: an_account()})
        counters.restore(5, [])
        counters.covers_id = 9  # what came after the snapshot was replayed
        owner = StoreOwner(
            cast(Store, store), counters, PipelineMetrics(CollectorRegistry(), {}), max_queued=1, max_commit=1
        )
        saving = asyncio.create_task(owner.save_snapshot())
        await store.commit_all()
        await saving
        assert [covers_id for covers_id, _ in store.snapshots] == [9]

    async def test_a_snapshot_is_saved_now_and_then(self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(owner_module, "SNAPSHOT_EVERY", 10)
        for _ in range(7):
            await pipeline.put(3)
            await pipeline.store.commit_all()
        assert [covers_id for covers_id, _ in pipeline.store.snapshots] == [12]

    async def test_a_snapshot_that_fails_ends_the_owner_but_not_what_was_acknowledged(
        self, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(owner_module, "SNAPSHOT_EVERY", 1)
        first = await pipeline.put(1)
        await pipeline.store.go_on("admit")
        await pipeline.store.go_on("commit")
        second = await pipeline.put(1)
        await pipeline.store.go_on("snapshot", StoreFailed("gone"))
        assert first.result().accepted == 1
        assert isinstance(second.exception(), Stopping)


class TestMetrics:
    async def test_outcomes_are_counted_by_source_and_commits_once(self, pipeline: Pipeline) -> None:
        await pipeline.put(3)
        await pipeline.put(4, source=2)
        await pipeline.put(5, source=2)
        await pipeline.store.commit_all()
        counted = {
            source: pipeline.metric("tollkeeper_records_total", source=source, outcome="accepted")
            for source in ("pop-nyc", "pop-lax")
        }
        assert counted == {"pop-nyc": 3, "pop-lax": 9}
        assert pipeline.metric("tollkeeper_records_total", source="pop-nyc", outcome="duplicate") == 0
        assert pipeline.metric("tollkeeper_commit_seconds_count") == len(pipeline.store.committed)
        assert pipeline.metric("tollkeeper_commit_records_total") == 12
