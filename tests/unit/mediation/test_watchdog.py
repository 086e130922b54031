"""When the writer counts as working; the clock and the writer are the tests'."""

from dataclasses import dataclass, field

import pytest

from mediation.sd_notify import ServiceManager
from mediation.watchdog import Watchdog, WriterWatch
from rating.store.errors import StoreFailed


@dataclass
class Writer:
    """A writer of which everything can be said."""

    lives: bool = True
    queued: int = 0
    committed: int = 0
    now: float = 1000.0
    passed: int = 0
    broken: bool = False

    async def pass_through(self) -> None:
        if self.broken:
            raise StoreFailed("the disk failed")
        self.passed += 1

    def watch(self) -> WriterWatch:
        return WriterWatch(
            lives=lambda: self.lives,
            queued=lambda: self.queued,
            committed=lambda: self.committed,
            pass_through=self.pass_through,
            clock=lambda: self.now,
            stalled_after_s=60,
        )


async def test_an_idle_writer_works_however_long() -> None:
    writer = Writer()
    watch = writer.watch()
    writer.now += 100_000
    assert await watch.works()
    assert writer.passed == 1


async def test_what_begins_to_wait_after_a_long_idle_time_has_its_whole_time() -> None:
    writer = Writer()
    watch = writer.watch()
    writer.now += 100_000
    assert await watch.works()
    writer.now, writer.queued = writer.now + 59, 500
    assert await watch.works()


async def test_a_busy_writer_works_as_long_as_it_commits() -> None:
    writer = Writer(queued=5000)
    watch = writer.watch()
    for _ in range(10):
        writer.now += 59
        writer.committed += 1
        assert await watch.works()
    writer.now += 61
    assert not await watch.works()
    writer.committed += 1
    assert await watch.works()


async def test_a_writer_that_is_over_does_not_work_and_is_asked_nothing() -> None:
    writer = Writer()
    watch = writer.watch()
    writer.lives = False
    assert not await watch.works()
    assert writer.passed == 0


async def test_a_store_that_failed_is_said_to_have_failed() -> None:
    watch = Writer(broken=True).watch()
    with pytest.raises(StoreFailed):
        await watch.works()


class Enough(Exception):
    pass


@dataclass
class Told(ServiceManager):
    """Keeps what it is told."""

    said: list[str] = field(default_factory=list)

    def tell(self, *assignments: str) -> None:
        self.said += assignments


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([True, True], ["WATCHDOG=1", "STATUS=fine", "WATCHDOG=1", "STATUS=fine"]),
        ([False, False], []),
        ([True, False, True], ["WATCHDOG=1", "STATUS=fine", "WATCHDOG=1", "STATUS=fine"]),
    ],
)
async def test_the_watchdog_is_fed_while_the_writer_works(
    answers: list[bool], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    coming = iter(answers)

    async def works() -> bool:
        try:
            return next(coming)
        except StopIteration:
            raise Enough from None

    manager = Told()
    with pytest.raises(Enough):
        await Watchdog(manager, 0, works, lambda: "fine").run()
    assert manager.said == said
    assert len(caplog.records) == (False in answers)  # once, however long it does not work
