"""What a POP has sent, or is about to send, and nobody has acknowledged: batches in order, with their positions."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


class JournalError(Exception):
    """A journal directory cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that travel together. Its position in the feed is (epoch, sequence)."""

    epoch: str
    sequence: int
    """Counts up by 1 within an epoch, from 1."""
    records: tuple[bytes, ...]
    """Each a line of NDJSON without its end."""

    @property
    def position(self) -> str:
        """As the header `Tollkeeper-Batch` has it."""
        return f"{self.epoch}/{self.sequence}"

    @property
    def body(self) -> bytes:
        return b"\n".join(self.records) + b"\n"

    @property
    def ids(self) -> tuple[str, ...]:
        """The records' own ids."""
        return tuple(json.loads(record)["id"] for record in self.records)


class Journal:
    """Unacknowledged batches in memory: they end with the process."""

    survives: bool = False
    """Whether another process finds the batches again."""

    def __init__(self, epoch: str) -> None:
        """`epoch` must be new to the daemon: a position that is taken is refused for another body."""
        assert epoch
        assert "/" not in epoch
        self.epoch = epoch
        self._next = 1
        self._batches: dict[int, Batch] = {}

    def __iter__(self) -> Iterator[Batch]:
        """The batches by ascending sequence."""
        return iter([self._batches[sequence] for sequence in sorted(self._batches)])

    @property
    def records(self) -> int:
        """Records in all batches."""
        return sum(len(batch.records) for batch in self._batches.values())

    def append(self, records: Sequence[bytes]) -> Batch:
        """Take records in at the next position."""
        assert records
        batch = Batch(self.epoch, self._next, tuple(records))
        self._next += 1
        self._keep(batch)
        return batch

    def split(self, batch: Batch) -> tuple[Batch, Batch]:
        """Halve a batch that is too large: the first half keeps the position, the second takes the next free one.

        Allowed because a batch that was refused has not taken its position.
        """
        assert len(batch.records) > 1
        middle = len(batch.records) // 2
        # the second half first: a crash in between leaves records twice, which is harmless, and never none
        second = self.append(batch.records[middle:])
        first = Batch(batch.epoch, batch.sequence, batch.records[:middle])
        self._keep(first)
        return first, second

    def renumber(self, batch: Batch) -> Batch:
        """Move a batch to the next free position, because its own is taken."""
        moved = self.append(batch.records)
        self.forget(batch)
        return moved

    def forget(self, batch: Batch) -> None:
        """The batch is acknowledged."""
        del self._batches[batch.sequence]

    def _keep(self, batch: Batch) -> None:
        self._batches[batch.sequence] = batch


class DirectoryJournal(Journal):
    """Unacknowledged batches in files, one each: a POP that is started again finds its epoch, sequence and batches.

    It survives the end of the process in any way, not of the machine: it does not wait for the disk.
    """

    survives = True

    _POSITION: Final = "position.json"
    _SUFFIX: Final = ".ndjson"

    def __init__(self, directory: Path, new_epoch: str) -> None:
        """Open or begin the journal in `directory`; `new_epoch` is taken only by a journal that begins.

        Raises:
            JournalError: the directory cannot be written to, or holds a journal that cannot be read.
        """
        self._directory = directory
        position_file = directory / self._POSITION
        try:
            directory.mkdir(parents=True, exist_ok=True)
            position: dict[str, Any] = {"epoch": new_epoch, "next": 1}
            if position_file.exists():
                position = json.loads(position_file.read_bytes())
            super().__init__(position["epoch"])
            self._next = int(position["next"])
            for file in directory.glob(f"*{self._SUFFIX}"):
                batch = Batch(self.epoch, int(file.stem), tuple(file.read_bytes().splitlines()))
                self._batches[batch.sequence] = batch
            # a batch is written before the position that follows it
            self._next = max([self._next, *(sequence + 1 for sequence in self._batches)])
            self._write_position()
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"journal {directory}: {error}; give a directory that is writable and holds nothing else"
            raise JournalError(message) from error

    def forget(self, batch: Batch) -> None:
        super().forget(batch)
        self._file(batch).unlink()

    def _keep(self, batch: Batch) -> None:
        super()._keep(batch)
        _replace(self._file(batch), batch.body)
        self._write_position()

    def _file(self, batch: Batch) -> Path:
        return self._directory / f"{batch.sequence:010d}{self._SUFFIX}"

    def _write_position(self) -> None:
        position = {"epoch": self.epoch, "next": self._next}
        _replace(self._directory / self._POSITION, json.dumps(position).encode())


def _replace(file: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, and never a part."""
    unfinished = file.with_suffix(".new")
    unfinished.write_bytes(content)
    unfinished.replace(file)
