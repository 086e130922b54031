"""What each source has been doing lately, for the people who watch the feeds."""

from collections import deque
from typing import Final

import msgspec

from rating.cdr import MICROS
from rating.store.batch import COLUMN, Batch, Outcome

RATE_OVER_US: Final = 60 * MICROS
"""A rate is over the last minute."""
_BIN_US: Final = MICROS

_ANSWER_AT, _DURATION = COLUMN["answer_at"], COLUMN["duration_us"]


class SourceActivity(msgspec.Struct):
    """Counted once a batch, after its commit."""

    source: str
    accepted: int = 0
    """Records since the daemon started, as are the two that follow."""
    duplicate: int = 0
    suspended: int = 0
    batches: int = 0
    last_arrived_at: int | None = None
    """When the last batch with a record arrived, µs UTC; None: none since the start."""
    lag_us: int | None = None
    """From the end of its last call to its arrival."""
    recent: deque[tuple[int, int]] = msgspec.field(default_factory=deque)
    """(second, records) of the last minute."""

    def count(self, batch: Batch, outcome: Outcome) -> None:
        """A batch of the source is durable."""
        self.batches += 1
        self.accepted += outcome.accepted
        self.duplicate += outcome.duplicate
        self.suspended += outcome.suspended
        if not batch.received:
            return
        self.last_arrived_at = batch.arrived_at
        for rows in batch.rows.values():
            if rows:
                self.lag_us = max(0, batch.arrived_at - rows[-1][_ANSWER_AT] - rows[-1][_DURATION])
        second = batch.arrived_at // _BIN_US
        if self.recent and self.recent[-1][0] == second:
            self.recent[-1] = (second, self.recent[-1][1] + batch.received)
        else:
            self.recent.append((second, batch.received))
        self._forget(batch.arrived_at)

    def per_minute(self, now: int) -> int:
        """Records of the last minute."""
        self._forget(now)
        return sum(records for _, records in self.recent)

    @property
    def suspended_share(self) -> float:
        """Suspended records among all since the start, 0 to 1."""
        records = self.accepted + self.duplicate + self.suspended
        return self.suspended / records if records else 0.0

    def _forget(self, now: int) -> None:
        oldest = (now - RATE_OVER_US) // _BIN_US
        while self.recent and self.recent[0][0] <= oldest:
            self.recent.popleft()
