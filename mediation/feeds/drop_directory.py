"""The directory that a switch drops its files into: which of them are ready, whose they are, and where they end.

A file is claimed by renaming it into `claimed/`, under a name that no other file ever has; from there it goes to
`done/`, or to `failed/`. Everything here blocks, and is called in threads, one call at a time.

No rename is synced. Whatever a power failure undoes of them is done again: a file that is back in the directory is
claimed under another name, and its records are known by their natural keys; one that is back in `claimed/` is known
by its positions, which the store has made durable.
"""

import enum
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from mediation.feeds.chunks import is_packed, last_line, unpacks
from mediation.feeds.writers import is_open_for_writing

log: Final = logging.getLogger(__name__)

CLAIMED, DONE, FAILED = "claimed", "done", "failed"
UNFINISHED: Final = (".tmp", ".part", ".filepart", "~")
"""Ends of names under which programs write what they rename when it is whole."""
_NAME_KEPT: Final = 50
"""Characters of a file's own name that its claimed name keeps: the last ones, which say what it is."""
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class State(enum.Enum):
    """How far a file is."""

    SETTLING = "it changed lately, or somebody has it open for writing"
    TORN = "it ends in the middle of a record, or of its gzip data"
    READY = "it is whole"
    CUT = "it has been torn for so long that it is taken as it is"
    BROKEN = "it has been torn for so long, and cannot be unpacked"


@dataclass(slots=True)
class Seen:
    """A file as it was when it was looked at last."""

    inode: int
    size: int
    modified_ns: int
    since_at: int
    """When it was first seen like this, µs UTC."""
    whole: bool | None = None
    """None: nobody has looked into it."""


class DropDirectory:
    """One watched directory."""

    def __init__(self, directory: Path, *, settle_s: int, torn_after_s: int, is_whole: Callable[[bytes], bool]) -> None:
        self.directory = directory
        self._settle_us = settle_s * 1_000_000
        self._torn_after_us = torn_after_s * 1_000_000
        self._is_whole = is_whole
        self._seen: dict[Path, Seen] = {}
        self._claims = 0
        self._told = False
        self._stopped = False

    def stop(self) -> None:
        """Whatever takes long is broken off, with InterruptedError. May be called while another call is under way."""
        self._stopped = True

    def prepare(self) -> None:
        """Make the directories inside, where they are not there. Raises OSError where it cannot be worked in."""
        for name in (CLAIMED, DONE, FAILED):
            (self.directory / name).mkdir(exist_ok=True)
        if not os.access(self.directory, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError("it cannot be read and written by the daemon's user")

    def claimed(self) -> list[Path]:
        """Files that were claimed and are not put away, oldest first."""
        return sorted(path for path in (self.directory / CLAIMED).iterdir() if _is_file(path))

    def failed(self) -> int:
        """How many files nobody could read."""
        return sum(_is_file(path) for path in (self.directory / FAILED).iterdir())

    def waiting(self, now: int) -> list[Path]:
        """Files that may be taken one day, the one written to longest ago first. Raises OSError."""
        found: list[tuple[int, Path]] = []
        with os.scandir(self.directory) as entries:
            for entry in entries:
                path = Path(entry.path)
                if not may_be_taken(entry.name):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    self._observe(path, status, now)
                    found.append((status.st_mtime_ns, path))
        there = {path for _, path in found}
        for path in [path for path in self._seen if path.parent == self.directory and path not in there]:
            del self._seen[path]
        return [path for _, path in sorted(found)]

    def inspect(self, path: Path, now: int) -> State:
        """How far a file is, claimed or not. Raises OSError."""
        seen = self._observe(path, path.lstat(), now)
        modified_at = seen.modified_ns // 1000
        if modified_at > now:  # another machine's clock: only what was seen here says anything
            modified_at = seen.since_at
        if now - max(modified_at, seen.since_at) < self._settle_us or self._is_written_to(path):
            return State.SETTLING
        if seen.whole is None:
            seen.whole = self._ends_well(path)
        if seen.whole:
            return State.READY
        if now - modified_at < self._torn_after_us:
            return State.TORN
        return State.BROKEN if is_packed(path) else State.CUT

    def _is_written_to(self, path: Path) -> bool:
        answer = is_open_for_writing(path)
        if answer is None and not self._told:
            self._told = True
            log.warning(
                "the kernel does not say who writes to files here: only the time since their last change does",
                extra={"directory": str(self.directory)},
            )
        return bool(answer)

    def _ends_well(self, path: Path) -> bool:
        if is_packed(path):
            return unpacks(path, lambda: self._stopped)
        line = last_line(path)
        return line is not None and (not line or self._is_whole(line))

    def _observe(self, path: Path, status: os.stat_result, now: int) -> Seen:
        seen = self._seen.get(path)
        if seen is None or (seen.inode, seen.size, seen.modified_ns) != _looks(status):
            # One that was claimed by a run before was settled then.
            since_at = 0 if seen is None and path.parent != self.directory else now
            seen = self._seen[path] = Seen(*_looks(status), since_at)
        return seen

    def is_unchanged(self, path: Path) -> bool:
        """Whether a file is still as it was when it was inspected. Raises OSError."""
        seen = self._seen.get(path)
        return seen is not None and (seen.inode, seen.size, seen.modified_ns) == _looks(path.lstat())

    def claim(self, path: Path, now: int) -> Path:
        """Rename a file into `claimed/`; its path there. Whoever opened it in the meantime still writes to it: inspect
        it again. Raises OSError."""
        return self._move(path, CLAIMED, self._a_new_name(path, now))

    def put_away(self, claimed: Path) -> Path:
        """Everything in the file is durable. Raises OSError."""
        return self._move(claimed, DONE, claimed.name)

    def fail(self, path: Path, now: int) -> Path:
        """Keep a file that cannot be read where a person finds it. Raises OSError."""
        name = path.name if path.parent.name == CLAIMED else self._a_new_name(path, now)
        return self._move(path, FAILED, name)

    def _move(self, path: Path, into: str, name: str) -> Path:
        goal = self.directory / into / name
        path.rename(goal)
        if (seen := self._seen.pop(path, None)) and into == CLAIMED:
            self._seen[goal] = seen
        return goal

    def _a_new_name(self, path: Path, now: int) -> str:
        """STAMP-COUNTER-NAME: it sorts by the time of the claim, and is text whatever the file's own name is."""
        own = os.fsencode(path.name).decode("utf-8", "replace")
        own = "".join(character if character.isprintable() else "_" for character in own)[-_NAME_KEPT:]
        stamp = (_EPOCH + timedelta(microseconds=now)).strftime(_STAMP)
        while True:
            self._claims += 1
            name = f"{stamp}-{self._claims:06d}-{own}"
            # A clock that was set back, and a daemon that was started again, can make a name twice.
            if not any((self.directory / where / name).exists() for where in (CLAIMED, DONE, FAILED)):
                return name


def may_be_taken(name: str) -> bool:
    """Whether a file of this name is for us: not hidden, and not under way to its real name."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)


def own_name(claimed: Path) -> str:
    """What a claimed file was called, as far as its name was kept."""
    return claimed.name.split("-", 2)[2] if claimed.name.count("-") >= 2 else claimed.name


def _looks(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
