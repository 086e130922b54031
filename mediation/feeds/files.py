"""The file feed: a directory that a switch drops files into. Each is claimed, sent in chunks with its positions, and
put away when everything in it is durable.

A chunk's position is made of the file's claimed name, which no other file ever has, and is committed with the chunk's
records: whenever the daemon is killed, the file is still in `claimed/`, and the next run sends what is missing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mediation.feeds.chunks import NOT_GZIP
from mediation.feeds.directory_watch import watch
from mediation.feeds.drop_directory import CLAIMED, DropDirectory, State, may_be_taken, own_name
from mediation.feeds.file_delivery import FileDelivery
from mediation.pipeline.sender import Clock, Sender
from mediation.pipeline.stopping import Stopping
from rating.cdr import MICROS
from rating.store.port import Store

log: Final = logging.getLogger(__name__)

RESCAN_S: Final = 5.0
"""An idle directory is looked through so often, should nobody wake us."""
LEAST_S: Final = 0.2
"""Between two looks at least, in a directory in which something changes all the time."""
RETRY_S: Final = 5
"""A file that could not be read or renamed is tried again after so long, then after twice as long, and so on."""
RETRY_MOST_S: Final = 300


class FilesStatus(msgspec.Struct, frozen=True):
    """How the feed stands."""

    directory: str
    waiting: int
    """Files that are not taken yet, or claimed and not finished."""
    current: str | None
    """The file that is being read."""
    torn: list[str]
    """Files that end in the middle of something, and are waited for."""
    failed: int
    """Files in `failed/`."""
    problem: str | None
    """Why the directory cannot be looked through at present."""


@dataclass(slots=True)
class _Trouble:
    """A file that could not be read or renamed."""

    times: int = 0
    again_at: int = 0


class FilesFeed:
    """One watched directory of one source."""

    def __init__(
        self,
        name: str,
        directory: Path,
        sender: Sender,
        store: Store,
        clock: Clock,
        *,
        settle_s: int,
        torn_after_s: int,
        is_whole: Callable[[bytes], bool],
    ) -> None:
        """`is_whole` says whether a last line without a line end is a record all the same."""
        self.name = name
        self._delivery = FileDelivery(sender, store)
        self._clock = clock
        self._settle_s = settle_s
        self._drop = DropDirectory(directory, settle_s=settle_s, torn_after_s=torn_after_s, is_whole=is_whole)
        self._stopping = False
        self._wake = asyncio.Event()
        self._waiting: set[Path] = set()
        self._torn: set[Path] = set()
        self._trouble: dict[Path, _Trouble] = {}
        self._current: Path | None = None
        self._failed = 0
        self._problem: str | None = None

    def status(self) -> FilesStatus:
        """How it stands now."""
        return FilesStatus(
            str(self._drop.directory),
            len(self._waiting),
            None if self._current is None else own_name(self._current),
            sorted(_name(path) for path in self._torn),
            self._failed,
            self._problem,
        )

    def stop(self) -> None:
        """Read no further; `run` ends when what was queued is answered. A file half-way through stays claimed."""
        self._stopping = True
        self._drop.stop()
        self._delivery.stop()
        self._wake.set()

    async def run(self) -> None:
        """Take in files until `stop`, or until the pipeline stops. A directory that cannot be used is looked at again
        and again: it may be made or mounted later. Raises StoreError."""
        watching = asyncio.create_task(
            watch(self._drop.directory, self._wake.set, may_be_taken), name=f"watch of feed {self.name}"
        )
        try:
            while not self._stopping:
                self._wake.clear()
                await self.look()
                await self._pause()
        except Stopping:
            log.info("the pipeline stops: what is claimed is finished by the next run", extra={"feed": self.name})
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _pause(self) -> None:
        """Until something changes, a file can have settled, or it is time to look anyway."""
        settling = self._waiting - self._torn
        pause_s = min(RESCAN_S, max(LEAST_S, self._settle_s / 2)) if settling else RESCAN_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        if not self._stopping:
            await asyncio.sleep(LEAST_S)

    async def look(self) -> None:
        """Look through the directory once, and take in what is ready: what an earlier run left, then the oldest."""
        now = self._clock()
        try:
            files, self._failed = await asyncio.to_thread(self._found, now)
        except OSError as error:
            problem = f"{self._drop.directory} cannot be looked through: {_words(error)}"
            if problem != self._problem:
                log.error("a directory cannot be looked through: trying on", extra=self._about(error=_words(error)))
            self._problem = problem
            return
        self._problem = None
        self._waiting = set(files)
        self._torn &= self._waiting
        self._trouble = {path: trouble for path, trouble in self._trouble.items() if path in self._waiting}
        for path in files:
            if self._stopping:
                return
            trouble = self._trouble.get(path)
            if trouble is None or trouble.again_at <= self._clock():
                await self._attend(path)

    def _found(self, now: int) -> tuple[list[Path], int]:
        self._drop.prepare()
        return [*self._drop.claimed(), *self._drop.waiting(now)], self._drop.failed()

    async def _attend(self, path: Path) -> None:
        """Do with a file what its state calls for. What the disk does to it is no reason to end."""
        is_new = path.parent.name != CLAIMED
        try:
            state = await self._inspect(path)
            if is_new and state in (State.READY, State.CUT):
                claimed = await asyncio.to_thread(self._drop.claim, path, self._clock())
                self._waiting = self._waiting - {path} | {claimed}
                path = claimed
                state = await self._inspect(path)  # whoever opened it before it was renamed still writes to it
            if state is State.BROKEN:
                await self._fail(path, "it is no gzip, or was cut off")
            elif state in (State.READY, State.CUT):
                await self._take_in(path, state, is_new=is_new)
            self._trouble.pop(path, None)
        except FileNotFoundError:
            self._gone(path)  # whoever put it there took it away
        except InterruptedError:
            pass  # stopped: the next run looks into it again
        except OSError as error:
            self._put_off(path, error)

    async def _inspect(self, path: Path) -> State:
        state = await asyncio.to_thread(self._drop.inspect, path, self._clock())
        (self._torn.add if state is State.TORN else self._torn.discard)(path)
        return state

    async def _take_in(self, claimed: Path, state: State, *, is_new: bool) -> None:
        """Send a claimed file, and put it away when all of it is durable. Raises OSError, Stopping and StoreError."""
        if state is State.CUT:
            log.warning("a file ends in the middle of a record: taken as it is", extra=self._about(claimed))
        self._current = claimed
        try:
            total = await self._delivery.send(claimed, is_new=is_new)
        except NOT_GZIP as error:
            await self._fail(claimed, str(error))
            return
        finally:
            self._current = None
        if total is None:
            return
        if not await asyncio.to_thread(self._drop.is_unchanged, claimed):
            log.warning("a file was written to while it was read: reading it again", extra=self._about(claimed))
            return
        await asyncio.to_thread(self._drop.put_away, claimed)
        self._gone(claimed)
        log.info(
            "a file is stored",
            extra=self._about(claimed, accepted=total.accepted, duplicate=total.duplicate, suspended=total.suspended),
        )

    async def _fail(self, path: Path, reason: str) -> None:
        kept = await asyncio.to_thread(self._drop.fail, path, self._clock())
        self._gone(path)
        self._failed += 1
        log.error(
            "a file cannot be unpacked: it is kept, mend it and drop it again",
            extra=self._about(path, kept=str(kept), reason=reason),
        )

    def _gone(self, path: Path) -> None:
        self._waiting.discard(path)
        self._torn.discard(path)
        self._trouble.pop(path, None)

    def _put_off(self, path: Path, error: OSError) -> None:
        trouble = self._trouble.setdefault(path, _Trouble())
        wait_s = min(RETRY_MOST_S, RETRY_S << min(trouble.times, 10))
        trouble.times += 1
        trouble.again_at = self._clock() + wait_s * MICROS
        log.error(
            "a file cannot be read or renamed: trying again later",
            extra=self._about(path, error=_words(error), after_s=wait_s),
        )

    def _about(self, path: Path | None = None, **more: object) -> dict[str, object]:
        """The fields of a log line."""
        fields: dict[str, object] = {"feed": self.name, "directory": str(self._drop.directory)}
        if path is not None:
            fields["file"] = _name(path)
        return fields | more


def _name(path: Path) -> str:
    return path.name.encode("utf-8", "backslashreplace").decode()


def _words(error: OSError) -> str:
    return error.strerror or str(error)
