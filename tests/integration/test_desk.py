"""Handing parts over: they are posted in their order, whatever is made meanwhile, and none after one that failed."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mediation.cli.desk import Desk, Way
from mediation.config import Config
from mediation.failure import Failure


@dataclass
class Writer:
    """Writes numbers: when it is let, and but for one that it refuses."""

    refused: int = -1
    begun: threading.Event = field(default_factory=threading.Event)
    let: threading.Event = field(default_factory=threading.Event)
    posted: list[int] = field(default_factory=list)
    took: list[int] = field(default_factory=list)

    async def write(self, _store: object, part: int) -> int:
        self.begun.set()
        assert self.let.wait(20)
        if part == self.refused:
            raise Failure(f"{part} is refused")
        self.posted.append(part)
        return part

    def desk(self, directory: Path, ahead: int) -> Desk[int, int]:
        config = cast(Config, SimpleNamespace(store=SimpleNamespace(path=directory / "tollkeeper.db")))
        unused: Callable[[Any], Any] = lambda _: None  # noqa: E731  # no daemon runs
        return Desk(config, Way("/numbers", unused, unused, self.write, "numbers"), self.took.append, ahead=ahead)


@pytest.mark.parametrize("ahead", [1, 3])
def test_so_many_parts_are_handed_over_before_anything_is_known_of_the_first(tmp_path: Path, ahead: int) -> None:
    writer = Writer()
    with writer.desk(tmp_path, ahead) as desk:
        for part in range(ahead):
            desk.hand_over(part)  # does not wait: nothing is written yet
        assert (writer.posted, writer.took) == ([], [])
        writer.let.set()
        for part in range(ahead, 9):
            desk.hand_over(part)
            assert writer.took == list(range(part + 1 - ahead))
        desk.finish()
        assert writer.took == writer.posted == list(range(9))


def test_after_a_part_that_failed_none_is_posted(tmp_path: Path) -> None:
    writer = Writer(refused=1)

    def hand_over() -> None:
        with writer.desk(tmp_path, 4) as desk:
            for part in range(4):
                desk.hand_over(part)
            writer.let.set()
            desk.finish()

    with pytest.raises(Failure, match="1 is refused"):
        hand_over()
    assert (writer.posted, writer.took) == ([0], [0])


def test_who_gives_up_leaves_only_what_was_begun(tmp_path: Path) -> None:
    writer = Writer()

    def hand_over() -> None:
        with writer.desk(tmp_path, 4) as desk:
            for part in range(4):
                desk.hand_over(part)
            desk._pending[-1].add_done_callback(lambda _: writer.let.set())
            assert writer.begun.wait(20)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hand_over()
    assert (writer.posted, writer.took) == ([0], [])
