"""The store as the rest of the program sees it: one interface, whatever the engine."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from rating.account import Account
from rating.store.batch import Batch, Row
from rating.store.intake import Admission
from rating.store.provisioned import Provisioned
from rating.store.recycling import Readmission, Retried
from rating.store.rerating import Correction, Rerated, Run
from rating.store.retiring import Done, Step
from rating.tariff import Tariff, TariffText

T = TypeVar("T")

Count = Callable[[Any, Sequence[Row]], None]
"""Given new transactions with the engine's connection, inside the store transaction that writes them."""

Noted = Callable[[Any, int], None]
"""Told how many an import holds, or the number of its version, with the engine's connection, inside its own store
transaction."""


def unnoted(_cx: Any, _number: int) -> None:
    """Nobody wants to know of an import."""


Replay = tuple[int, str, int, int, int]
"""A transaction as the counters need it, at start-up: id, account, answer, charge in micro-units, duration in
microseconds. There are up to a million."""


class Store(Protocol):
    """The one writer of a store. Any failure to write is `StoreFailed`, and the end of the process that owns it:
    nothing is retried, because after a failed sync nobody knows what is on the disk."""

    async def write(
        self, take: Callable[[], Sequence[Batch]], count: Count, when: Callable[[], bool] | None = None
    ) -> Admission:
        """Write what is new of some batches in one store transaction; durable when it returns.

        Several may be under way; they are written one after the other. When its turn comes, and `when` it is so, `take`
        says which batches it is (perhaps none); before the commit `count` is given the new transactions, in ascending
        order of their ids, and may write in the same store transaction.
        All may run in another thread: the caller looks at what they change only while no write is under way.
        """

    async def recycle(self, retried: Sequence[Retried], actor: str, now: int, count: Count) -> Readmission:
        """Take suspended records that were processed again out of suspense, in one store transaction; durable when it
        returns. `actor` did it at `now` (µs UTC); before the commit `count` is given the new transactions, as in
        `write`."""

    async def rerate(
        self, corrections: Sequence[Correction], run: Run, now: int, count: Count, begun: Callable[[Any, int], None]
    ) -> Rerated:
        """Reverse transactions and charge them again, in one store transaction; durable when it returns. Those that
        are reversed already are passed over. `count` is given the new rows, as in `write`; `begun` the number of a run
        that begins with them, with the engine's connection."""

    async def retire(self, step: Step, now: int) -> Done:
        """Do one step of taking a month out of the store, in one store transaction; durable when it returns. Raises
        StoreError for one whose turn it is not: then nothing was changed."""

    async def register_sources(self, names: Iterable[str]) -> Mapping[str, int]:
        """The number of every source; new names are given one."""

    async def positions(self, source: int) -> dict[str, dict[str, object]]:
        """Of each epoch the last sequence and the gaps."""

    async def provisioned(self, *, with_lines: bool = True, known: Mapping[str, Account] | None = None) -> Provisioned:
        """Everything that is provisioned; without lines, how many numbers have some. Accounts that are as they are
        `known` are those very ones."""

    async def import_accounts(self, text: str, now: int, noted: Noted = unnoted) -> int:
        """Import an accounts.csv, all or nothing; how many. Raises ProvisioningError."""

    async def import_lines(self, text: str, noted: Noted = unnoted) -> int:
        """Import a lines.csv, all or nothing; how many. Raises ProvisioningError."""

    async def import_favourites(self, text: str, noted: Noted = unnoted) -> int:
        """Import a favourites.csv, all or nothing: the numbers of the accounts that it names are those of the file
        alone; how many. Raises ProvisioningError."""

    async def import_tariff(self, text: TariffText, tariff: Tariff, now: int, noted: Noted = unnoted) -> int:
        """Import a tariff's version; its number."""

    async def snapshot(self) -> tuple[int, list[bytes]]:
        """The stored snapshot of the counters: the transaction it covers, and its parts."""

    async def save_snapshot(self, covers_id: int, parts: Sequence[bytes], unchanged: int = 0) -> None:
        """Replace the snapshot; so many of its parts, from the first on, are those that it has."""

    def replay(self, after: int) -> AsyncIterator[list[Replay]]:
        """The transactions after an id, in chunks, by partition (not in order of their ids)."""

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        """The result of `query(connection, *args)`, on a connection that can only read."""

    async def transact(self, work: Callable[..., T], *args: Any) -> T:
        """The result of `work(connection, *args)`, run as one store transaction of its own: how other packages write
        their tables. Durable when it returns; what `work` raises (but an engine's error) undoes it and is raised."""

    @property
    def last_id(self) -> int:
        """The greatest transaction id committed."""

    async def until_failed(self) -> None:
        """Wait until a write fails, whoever asked for it; raises what it was (StoreFailed)."""

    async def close(self) -> None:
        """Release the store. What was admitted and not committed is gone."""
