"""What may be on a disk when the power fails: what was synced, and of what was not any part at all.

A disk writes sectors whole or not at all, in any order, until a sync has come back: every sector of every write that no
sync has covered is there or is not. A file that shrank or vanished without a sync may still be as it was before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.disk.recording import Kind, Operation

SECTOR = 512


@dataclass
class _File:
    synced: bytes = b""
    """What is on the disk for certain."""
    pending: list[Operation] = field(default_factory=list)
    """What is not, in order."""
    covered: int = 0
    """How many of those the sync that is under way covers."""

    def take(self, operation: Operation) -> None:
        if operation.kind is Kind.SYNC_BEGUN:
            self.covered = len(self.pending)
        elif operation.kind is Kind.SYNCED:
            self.synced = _applied(self.synced, self.pending[: self.covered], _everything)
            del self.pending[: self.covered]
            self.covered = 0
        else:
            self.pending.append(operation)

    def image(self, keeps: "Keeps") -> bytes | None:
        """What is found, or None for no file."""
        if self.pending and self.pending[-1].kind is Kind.UNLINKED:
            return None  # it is gone, or what it held is of no use any more
        return _applied(self.synced, self.pending, keeps)


Keeps = Callable[[], bool]
"""Whether the next sector, or change of length, got to the disk."""


def _everything() -> bool:
    return True


def _nothing() -> bool:
    return False


def _applied(content: bytes, operations: Iterable[Operation], keeps: Keeps) -> bytes:
    image = bytearray(content)
    for operation in operations:
        if operation.kind is Kind.WRITTEN:
            _write(image, operation, keeps)
        elif operation.kind is Kind.TRUNCATED and keeps():
            del image[operation.offset :]
            image.extend(bytes(operation.offset - len(image)))
        elif operation.kind in (Kind.CREATED, Kind.UNLINKED) and keeps():
            image.clear()
    return bytes(image)


def _write(image: bytearray, operation: Operation, keeps: Keeps) -> None:
    at, end = operation.offset, operation.offset + len(operation.data)
    while at < end:
        stop = min(end, at - at % SECTOR + SECTOR)
        if keeps():
            if len(image) < at:
                image.extend(bytes(at - len(image)))
            image[at:stop] = operation.data[at - operation.offset : stop - operation.offset]
        at = stop


class CrashImage:
    """The files of the directory as they are found after the power failed at one moment."""

    def __init__(self, files: Mapping[str, bytes], before_ns: int, how: str) -> None:
        self.files, self.before_ns, self.how = files, before_ns, how
        """What was acknowledged before `before_ns` (CLOCK_MONOTONIC) must be in it. `how` says of which moment it is,
        and how many of the sectors that were not synced got to the disk."""

    def put(self, directory: Path) -> None:
        """Write it to an empty directory."""
        for name, content in self.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)


def crash_images(
    before: Mapping[str, bytes], operations: list[Operation], count: int, random: Random
) -> Iterator[CrashImage]:
    """So many moments drawn by chance, in their order; `before` is what was there at first, and is on the disk. Of what
    was not synced nothing is there, or everything, or any part."""
    moments = sorted(random.randrange(1, len(operations)) for _ in range(count))
    files = {name: _File(content) for name, content in before.items()}
    done = 0
    for moment in moments:
        for operation in operations[done:moment]:
            files.setdefault(operation.name, _File()).take(operation)
        done = moment
        share = random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        keeps = {0.0: _nothing, 1.0: _everything}.get(share, lambda share=share: random.random() < share)
        found = {name: file.image(keeps) for name, file in files.items()}
        next_one = operations[moment]
        how = f"before {next_one.kind.name} {next_one.name} ({moment} of {len(operations)}), {share:.0%} of the rest"
        yield CrashImage({name: content for name, content in found.items() if content is not None}, next_one.at_ns, how)
