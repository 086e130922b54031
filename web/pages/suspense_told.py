"""What a page says after suspended records were worked on: counts that a redirect carries in its query. Pure."""

from dataclasses import dataclass, fields
from typing import Final

from multidict import MultiMapping

from mediation.pipeline.recycling import Mended, Recycled
from mediation.pipeline.suspense_views import REASONS

_MOST: Final = 10**9


@dataclass(frozen=True, slots=True)
class Told:
    """What was done; a count that is None was not part of it. `before` and `after` are open records of the reason."""

    mended: int | None = None
    unchanged: int | None = None
    refused: int | None = None
    recycled: int | None = None
    duplicates: int | None = None
    still_open: int | None = None
    discarded: int | None = None
    before: int | None = None
    after: int | None = None
    now_as: tuple[tuple[str, int], ...] = ()
    """Reasons of those that are still open, with their counts."""

    @property
    def is_something(self) -> bool:
        """Whether there is anything to say."""
        return any(count is not None for count in (self.mended, self.recycled, self.discarded))

    @property
    def is_complete(self) -> bool:
        """Whether all that was chosen was done."""
        return not self.refused and not self.still_open

    def query(self) -> dict[str, str]:
        """As parameters of an address."""
        counts = {name: getattr(self, name) for name in COUNTS}
        told = {name: str(count) for name, count in counts.items() if count is not None}
        if self.now_as:
            told["now_as"] = ",".join(f"{reason}:{count}" for reason, count in self.now_as)
        return told


COUNTS: Final = tuple(field.name for field in fields(Told) if field.name != "now_as")


def told_of(
    mended: Mended | None, recycled: Recycled | None, before: int | None = None, after: int | None = None
) -> Told:
    """What was mended, recycled, or both."""
    return Told(
        mended=mended.mended if mended else None,
        unchanged=mended.unchanged if mended else None,
        refused=mended.refused if mended else None,
        recycled=recycled.recycled if recycled else None,
        duplicates=recycled.duplicates if recycled else None,
        still_open=recycled.still_open if recycled else None,
        before=before,
        after=after,
        now_as=tuple(sorted(recycled.by_reason_after.items())) if recycled else (),
    )


def read_told(query: MultiMapping[str]) -> Told:
    """What an address says; what it says badly is left out. Anybody can write an address: only counts and reasons
    that there are get to the page."""
    now_as = []
    for part in query.get("now_as", "").split(",")[: len(REASONS)]:
        reason, _, count = part.partition(":")
        if reason in REASONS and (number := _count(count)) is not None:
            now_as.append((reason, number))
    return Told(**{name: _count(query.get(name, "")) for name in COUNTS}, now_as=tuple(now_as))


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MOST else None
