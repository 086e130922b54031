"""Taking months out of the store, one after the other: what is read and exported here, what is written by the store's
owner, and in which order, so that it can be killed anywhere and started again."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from control.billing.coverage import Coverage
from mediation.cli.desk import Desk, Way
from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.writer_retiring import PATH, packed, retiring_alone, unpacked
from rating.retired_use import NotBilled, RetiredUse
from rating.store.archiving import Manifest, archive_month, file_of, make_archive
from rating.store.partitions import month_bounds
from rating.store.provisioning import get_accounts
from rating.store.retired import CLOSED, DROPPED, states
from rating.store.retiring import Done, Step
from rating.store.sqlite import SqliteStore
from rating.store.transactions import read_chunks

_SUMS_A_STEP: Final = 5_000
_WAIT_S: Final = 0.2


class Retired(msgspec.Struct):
    """What a run came to."""

    archived: list[Manifest] = []
    finished: list[int] = []
    """Months that an earlier run archived, and whose rows this one has deleted."""
    kept_back: dict[int, str] = {}
    """Why a month stays, in words."""


class Retirement:
    """A run: takes months out of a store through its owner."""

    def __init__(
        self, config: Config, cx: sqlite3.Connection, oldest: int, daemon_only: bool, tell: Callable[[str], None]
    ) -> None:
        """`cx` reads the store; months that end after `oldest` stay. `tell` is told how far it is."""
        self._cx, self._oldest, self._tell = cx, oldest, tell
        self._directory = config.store.archive_directory
        self._coverage = Coverage.load(cx)
        self._accounts = {account.account: account for account in get_accounts(cx)}
        self._desk = Desk(config, _way(), self._took, daemon_only)
        self._done: Done | None = None
        self.result = Retired()

    def run(self, months: list[int]) -> None:
        """Take them out, each if it may go. Raises Failure or StoreError; what was done until then is done."""
        with _one_at_a_time(self._directory), self._desk:
            for month in months:
                try:
                    self._take_out(month)
                except NotBilled as reason:
                    self.result.kept_back[month] = str(reason)

    def _take_out(self, month: int) -> None:
        state = states(self._cx).get(month)
        if state in (None, CLOSED):
            if month_bounds(month)[1] > self._oldest:
                self._step(month, "reopen")  # the retention was made longer meanwhile
                return
            if state is None:
                self._look_first(month)
            self._step(month, "close")
            self.result.archived.append(self._export(month))
        elif state != DROPPED:
            self.result.finished.append(month)
        deleted = 0
        while (done := self._step(month, "clear")).state != DROPPED:
            deleted += done.deleted
            self._tell(f"{month}: {deleted} rows deleted")
            if not done.deleted:
                time.sleep(_WAIT_S)

    def _look_first(self, month: int) -> None:
        """Raise NotBilled, or Failure, for a month that may not go: before it is closed for what comes late."""
        file = file_of(self._directory, month)
        if file.exists():
            raise Failure(
                f"{file} is there already, of another store or of this one before a restore: move it away, or set"
                " [store] archive"
            )
        for chunk in read_chunks(self._cx, month, "id, account, answer_at", after=0, upto=(1 << 63) - 1):
            for number, account, answer_at in chunk:
                if self._coverage.bill_of(account, number, answer_at) is None:
                    raise NotBilled(f"transaction {number} of account {account} is on no bill yet")

    def _export(self, month: int) -> Manifest:
        """Write the closed month to the archive, and have its sums count in the place of its rows."""
        use = RetiredUse(self._accounts, self._coverage.bill_of)

        def see(row: list[object]) -> None:
            use.add(row)
            if use.transactions % 10_000 == 0:
                self._tell(f"{month}: {use.transactions} transactions exported")

        try:
            manifest = archive_month(self._cx, month, self._directory, see, wall_clock())
        except NotBilled:
            self._step(month, "reopen")
            raise
        except OSError as error:
            raise Failure(
                f"the archive in {self._directory} cannot be written ({error.strerror}): make room, or change its"
                " owner; nothing of the month was dropped"
            ) from error
        sums = use.sums()
        while some := list(islice(sums, _SUMS_A_STEP)):
            self._give(Step(month=month, do="sum", sums=some))
        self._give(Step(month=month, do="sum", arrivals=use.arrivals()))
        self._give(
            Step(
                month=month, do="retire", transactions=manifest.transactions, file=manifest.file, sha256=manifest.sha256
            )
        )
        return manifest

    def _step(self, month: int, do: str) -> Done:
        return self._give(msgspec.convert({"month": month, "do": do}, Step))

    def _give(self, step: Step) -> Done:
        self._desk.hand_over(step)
        self._desk.finish()
        assert self._done is not None
        return self._done

    def _took(self, done: Done) -> None:
        self._done = done


def _way() -> Way[Step, Done]:
    async def alone(store: SqliteStore, step: Step) -> Done:
        return await retiring_alone(store, wall_clock).take(step)

    return Way(PATH, packed, unpacked, alone, "months retired so far")


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Two runs would write the same files. Raises Failure."""
    try:
        make_archive(directory)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Failure(f"{directory} cannot be made ({error.strerror}): change [store] archive, or its owner") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("another run retires months already: wait for its end") from None
        yield
    finally:
        os.close(lock)
