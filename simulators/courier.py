"""Brings a batch to the daemon, however often that takes: resends, waits, splits, and never drops a record."""

import asyncio
import logging
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final

from simulators.faults import Mishap
from simulators.journal import Batch, Journal
from simulators.pop_link import Answer, Link, LinkError

_log = logging.getLogger(__name__)

_HOPELESS: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
)
"""Refusals that the same request gets for ever: a wrong token or address."""

_DECISIVE: Final = frozenset({HTTPStatus.OK, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""Answers after which the same batch is not sent again as it is."""


class PopError(Exception):
    """The daemon and the POP cannot work together; the message says what was refused and what to look at."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to wait after a failure: doubled each time, unless the daemon says how long (Retry-After)."""

    first_s: float = 0.1
    most_s: float = 5.0

    def pause_s(self, failures: int, retry_after_s: float | None) -> float:
        """Seconds to wait after this many failures before this one, from 0."""
        if retry_after_s is not None:
            return retry_after_s
        return min(self.most_s, self.first_s * 2.0 ** min(failures, 30))


@dataclass(slots=True)
class Totals:
    """What a POP has done so far. All are records, but for the ones that say otherwise."""

    calls: int = 0
    """Taken from the traffic, each once."""
    restored: int = 0
    """Found in the journal at the start."""
    repeated: int = 0
    """Sent again on purpose (the fault `dup`)."""
    sent: int = 0
    """Sent for the first time in their batch, or again on purpose: calls, restored and repeated ones."""
    acknowledged: int = 0
    """Equal to `sent` when nothing is open, and always to accepted + duplicate + suspended."""
    accepted: int = 0
    duplicate: int = 0
    suspended: int = 0
    batches: int = 0
    """Batches acknowledged."""
    retried: int = 0
    """Batches that were sent once more because of a failure, a refusal or a broken line."""
    last_failure: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Courier:
    """Delivers one batch after another; several deliveries may run at once."""

    def __init__(self, link: Link, journal: Journal, retry: Retry, *, remember_ids: bool) -> None:
        self._link = link
        self._journal = journal
        self._retry = retry
        self.totals = Totals()
        self.acknowledged_ids: set[str] | None = set() if remember_ids else None
        """Ids of all records acknowledged so far; None where nobody wants to know, as they would fill memory."""

    async def deliver(self, batch: Batch, mishap: Mishap) -> None:
        """Return when every record of the batch is acknowledged.

        Raises:
            PopError: the daemon refuses it in a way that waiting does not mend, or its answer does not add up.
        """
        self.totals.sent += len(batch.records)
        if mishap.delay_s:
            await asyncio.sleep(mishap.delay_s)
        if mishap.cut_at is not None:
            await self._break_off(batch, mishap.cut_at)
        if mishap.leaves_early:
            await self._break_off(batch, None)
        parts = await self._until_acknowledged(batch)
        if mishap.sent_again:
            for part in parts:
                await self._send_again(part)

    async def _until_acknowledged(self, batch: Batch) -> list[Batch]:
        """The batch as it was acknowledged at last: in one part, or in several."""
        done: list[Batch] = []
        todo = [batch]
        while todo:
            part = todo.pop()
            answer = await self._until_answered(part)
            if answer.status == HTTPStatus.OK:
                self._acknowledge(part, answer)
                self._journal.forget(part)
                done.append(part)
                continue
            self.totals.retried += 1
            if answer.status == HTTPStatus.CONFLICT:
                todo.append(self._journal.renumber(part))
            elif len(part.records) > 1:
                todo.extend(reversed(self._journal.split(part)))
            else:
                raise PopError(f"record {part.ids[0]} alone is over the daemon's limit ({len(part.body)} bytes)")
        return done

    async def _send_again(self, batch: Batch) -> None:
        self.totals.repeated += len(batch.records)
        self.totals.sent += len(batch.records)
        answer = await self._until_answered(batch)
        if answer.status != HTTPStatus.OK:
            raise PopError(
                f"batch {batch.position} was acknowledged, and then refused: {answer.status} {answer.problem}"
            )
        self._acknowledge(batch, answer)

    async def _until_answered(self, batch: Batch) -> Answer:
        """Send until an answer comes that decides about the batch."""
        failures = 0
        while True:
            retry_after_s = None
            try:
                answer = await self._link.send(batch)
            except LinkError as error:
                self._note_failure(str(error))
            else:
                if answer.status in _DECISIVE:
                    return answer
                if answer.status in _HOPELESS:
                    raise PopError(f"refused with {answer.status}, look at the URL and the token: {answer.problem}")
                retry_after_s = answer.retry_after_s
                self._note_failure(f"the daemon answers {answer.status}: {answer.problem}")
            await asyncio.sleep(self._retry.pause_s(failures, retry_after_s))
            failures += 1

    async def _break_off(self, batch: Batch, cut_at: float | None) -> None:
        try:
            await self._link.send_and_hang_up(batch, cut_at)
        except LinkError as error:
            # nobody there to hang up on: the ordinary sending that follows waits for somebody
            self._note_failure(str(error))
        else:
            self.totals.retried += 1

    def _note_failure(self, reason: str) -> None:
        self.totals.retried += 1
        if reason != self.totals.last_failure:
            # told once and not at every attempt: an outage may be long
            _log.warning("%s; will be sent again", reason)
        self.totals.last_failure = reason

    def _acknowledge(self, batch: Batch, answer: Answer) -> None:
        if answer.acknowledged != len(batch.records):
            counts = f"{len(batch.records)} records, its answer accounts for {answer.acknowledged}"
            raise PopError(f"batch {batch.position} has {counts}")
        totals = self.totals
        totals.batches += 1
        totals.acknowledged += answer.acknowledged
        totals.accepted += answer.accepted
        totals.duplicate += answer.duplicate
        totals.suspended += answer.suspended
        if self.acknowledged_ids is not None:
            self.acknowledged_ids.update(batch.ids)
