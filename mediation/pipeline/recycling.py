"""What becomes of suspended records: listed, mended, recycled into transactions, or discarded.

One service for the command line, the daemon's socket and the pages. Many records are taken some thousand at a time,
each lot in a store transaction of its own, so that ingest goes on between them; what was done stays done if the rest
is not.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from mediation.formats import Unreadable
from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.mending import Mend, NotMendable, mended_line, understood
from mediation.pipeline.preparing import Delivery, Preparer
from mediation.pipeline.sender import Clock
from mediation.pipeline.suspense_views import RecordView, view_of
from rating.numbering import to_e164
from rating.store import suspense
from rating.store.batch import COLUMN
from rating.store.port import Store
from rating.store.recycling import Readmission, Retried
from rating.store.suspense import Filter, SuspenseRecord

T = TypeVar("T")

CHUNK: Final = 2_000
"""Records of one store transaction."""
REFUSALS: Final = 100
"""Records that could not be mended and are named, at most."""

_ARRIVED_AT: Final = COLUMN["arrived_at"]


class Reader(Protocol):
    """Whoever reads the store: the store itself, or the pages' readers."""

    async def read(self, query: Callable[..., T], *args: Any) -> T:
        """The result of `query(connection, *args)`."""


class Recyclery(Protocol):
    """Who takes records out of suspense, at its turn: the store's owner."""

    async def recycle(self, retried: Sequence[Retried], actor: str, now: int) -> Readmission:
        """In one store transaction; durable when it returns."""


class NotSelectable(Exception):
    """A selection that means nothing, in words."""


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which open records: those of `ids`, or else those that all of the others hold for (none given: every one)."""

    ids: tuple[int, ...] = ()
    reason: str | None = None
    source: str | None = None
    line: str | None = None
    """A number that the record names as calling, called or charge_to."""
    arrived_from: int | None = None
    """µs UTC."""
    arrived_before: int | None = None


class Recycled(msgspec.Struct):
    """What became of a selection."""

    recycled: int = 0
    duplicates: int = 0
    """Records that are transactions already: counted as duplicates of the day on which they arrived."""
    still_open: int = 0
    by_reason_before: dict[str, int] = {}
    """Of the records that were tried."""
    by_reason_after: dict[str, int] = {}
    """Of those that are still open."""

    @property
    def tried(self) -> int:
        """All of them."""
        return self.recycled + self.duplicates + self.still_open


class Refusal(msgspec.Struct, frozen=True):
    """Why a record was not mended."""

    id: int
    words: str


class Mended(msgspec.Struct):
    """What was mended of a selection; each id is that of an open record."""

    mended: int = 0
    unchanged: int = 0
    refused: int = 0
    refusals: list[Refusal] = []
    """The first hundred."""


class Recycler:
    """Suspense, for whoever works on it."""

    def __init__(
        self,
        store: Store,
        preparer: Preparer,
        owner: Recyclery,
        clock: Clock,
        sources: Mapping[str, int],
        reader: Reader | None = None,
        formats: SourceFormats | None = None,
    ) -> None:
        """`preparer`: who makes batches of lines; `sources`: the number of every source, by name; `reader`: who reads,
        if not the store; `formats`: of the sources, where one has a dial plan."""
        self._store = store
        self._preparer = preparer
        self._owner = owner
        self._clock = clock
        self._sources = sources
        self._names = {number: name for name, number in sources.items()}
        self._reader: Reader = reader or store
        self.formats = formats or SourceFormats()
        """How lines are read now."""

    async def records(
        self, reason: str | None = None, source: str | None = None, after: int = 0, limit: int = 100
    ) -> list[SuspenseRecord]:
        """The first `limit` open records with an id above `after`. Raises NotSelectable."""
        which = Filter(reason, self._number(source))
        return await self._reader.read(suspense.select, which, after, (1 << 63) - 1, limit)

    async def record(self, id_: int) -> RecordView | None:
        """A record, whatever has become of it."""
        found = await self._reader.read(suspense.get_many, [id_])
        if not found:
            return None
        changes = await self._reader.read(suspense.changes_of, id_)
        return view_of(found[0], self._names[found[0].source], changes, self.formats)

    async def origins(self, transaction: int) -> list[SuspenseRecord]:
        """The records that were recycled into a transaction: the one it was made of, and those that were its
        duplicates; none for one that came straight from a feed."""
        return await self._reader.read(suspense.of_transaction, transaction)

    async def mend(self, selection: Selection, mend: Mend, actor: str) -> Mended:
        """Set fields of records, or the line of one. What could not be read afterwards is refused, and stays as it
        was. Raises NotSelectable."""
        done = Mended()
        if mend.line is not None and len(selection.ids) != 1:
            raise NotSelectable("a line replaces that of one record: give its id")
        if mend.line is None and not mend.set and not mend.replace:
            raise NotSelectable("nothing to mend: give fields to set or replace, or a line")
        async for records in self._chunks(selection):
            changed = []
            for record in records:
                try:
                    line = self._mended(record, mend)
                except NotMendable as refused:
                    done.refused += 1
                    if len(done.refusals) < REFUSALS:
                        done.refusals.append(Refusal(record.id, str(refused)))
                    continue
                if line is None:
                    done.unchanged += 1
                else:
                    changed.append((record, *line, mend.words()))
            written = await self._store.transact(suspense.mend, changed, actor, self._clock())
            done.mended += len(written)
            done.unchanged += len(changed) - len(written)
        return done

    async def recycle(
        self, selection: Selection, actor: str, progress: Callable[[Recycled], None] | None = None
    ) -> Recycled:
        """Process open records again, by what is provisioned now, in the order of their arrival. `progress` is told
        after each lot how far it is. Raises NotSelectable, Stopping or StoreFailed: the lots before it are done."""
        done = Recycled()
        async for records in self._chunks(selection):
            now = self._clock()
            readmission = await self._owner.recycle(await self._retry(records, now), actor, now)
            reasons = {record.id: record.reason for record in records}
            for trial in readmission.trials:
                if trial.became == "changed":
                    continue
                before = reasons[trial.id]
                done.by_reason_before[before] = done.by_reason_before.get(before, 0) + 1
                if trial.became == "recycled":
                    done.recycled += 1
                elif trial.became == "duplicate":
                    done.duplicates += 1
                else:
                    done.still_open += 1
                    done.by_reason_after[trial.reason] = done.by_reason_after.get(trial.reason, 0) + 1
            if progress is not None:
                progress(done)
        return done

    async def discard(self, selection: Selection, actor: str, remark: str) -> int:
        """Leave open records out for good, with the reason for it; how many. Raises NotSelectable."""
        if not remark.strip():
            raise NotSelectable("a record is not discarded without a remark: say why")
        discarded = 0
        async for records in self._chunks(selection):
            ids = [record.id for record in records]
            discarded += await self._store.transact(suspense.discard, ids, actor, self._clock(), remark.strip())
        return discarded

    async def _chunks(self, selection: Selection) -> AsyncIterator[list[SuspenseRecord]]:
        """The open records of a selection, in the order of their arrival; none that came after it was begun."""
        number = None if selection.line is None else to_e164(selection.line) or selection.line
        which = Filter(
            selection.reason, self._number(selection.source), selection.arrived_from, selection.arrived_before
        )
        if selection.ids:
            ids = sorted(set(selection.ids))
            for at in range(0, len(ids), CHUNK):
                found = await self._reader.read(suspense.get_many, ids[at : at + CHUNK])
                if chosen := [record for record in found if record.state == "open"]:
                    yield chosen
            return
        after, upto = 0, await self._reader.read(suspense.last_id)
        while found := await self._reader.read(suspense.select, which, after, upto, CHUNK):
            after = found[-1].id
            if number is not None:
                found = [record for record in found if number in self._numbers(record)]
            if found:
                yield found

    async def _retry(self, records: Sequence[SuspenseRecord], now: int) -> list[Retried]:
        """Process lines again as if they came now, but for their arrival."""
        alike: dict[tuple[int, str], list[SuspenseRecord]] = {}
        for record in records:
            alike.setdefault((record.source, record.line_format), []).append(record)
        retried: list[Retried] = []
        for (source, format_), some in alike.items():
            lines = [record.line for record in some]
            batch = await self._preparer.prepare(Delivery(self._names[source], source, now, lines, format=format_))
            for month, rows in batch.rows.items():
                for row, line in zip(rows, batch.row_lines[month], strict=True):
                    row[_ARRIVED_AT] = some[line - 1].arrived_at
                    retried.append(Retried(some[line - 1], row, None, batch.parts.get(line)))
            retried += [Retried(some[suspended.line - 1], None, suspended) for suspended in batch.suspended]
        return sorted(retried, key=lambda one: one.record.id)

    def _mended(self, record: SuspenseRecord, mend: Mend) -> tuple[bytes, str] | None:
        """Raises NotMendable."""
        source = self._names[record.source]
        line = mended_line(record, source, self.formats.parser(record.line_format, source), mend)
        if line is not None:
            if b"\n" in line[0]:
                raise NotMendable("a record is one line: take the line breaks out of it")
            read = self.formats.parser(line[1], source)(line[0], source)
            if isinstance(read, Unreadable):
                raise NotMendable(f"{read.reason}: {read.detail}")
        return line

    def _numbers(self, record: SuspenseRecord) -> set[str]:
        source = self._names[record.source]
        return understood(record, source, self.formats.parser(record.line_format, source)).numbers

    def _number(self, source: str | None) -> int | None:
        if source is None:
            return None
        if source not in self._sources:
            raise NotSelectable(f"there is no source {source}: there are {', '.join(sorted(self._sources))}")
        return self._sources[source]
