"""When a commit is worth while: a large one takes less time a record than a small one, so it is put off for a moment
while more is about to come than waits."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

ENOUGH: Final = 4_000
"""Records: of more together hardly any takes less."""
MOST_S: Final = 0.025
"""No commit is put off for longer."""


class Gathering:
    """Knows how much is being prepared."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._coming = 0

    @contextlib.contextmanager
    def preparing(self, records: int) -> Iterator[None]:
        """About so many records will wait for a commit after this block."""
        self._coming += records
        try:
            yield
        finally:
            self._coming -= records

    def worth_while(self, waiting: Callable[[], int], most: int = ENOUGH) -> Callable[[], bool]:
        """Whether a commit is to be made now of the records that wait: to be asked until it says so. `most`: as many as
        one may have. Half of what is on its way is always enough, for the other half is prepared while it is
        written."""
        until: float | None = None

        def is_so() -> bool:
            nonlocal until
            if until is None:
                until = self._clock() + MOST_S
            return waiting() >= min(ENOUGH, most, self._coming) or self._clock() >= until

        return is_so
