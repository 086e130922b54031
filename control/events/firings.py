"""What fired, and for what an event has fired already: once per account, period and threshold in force."""

from typing import Any, NamedTuple

import msgspec

from control.events.evaluation import Judgement, Occasion, trace


class Mark(NamedTuple):
    """A period and threshold for which an event does not fire again."""

    event: int
    account: str
    period_start: int
    """µs UTC."""
    threshold: str


class Fired(msgspec.Struct, frozen=True):
    """An event that became true for an account."""

    event: int
    account: str
    period_start: int
    """µs UTC, as `period_end`: from then on the condition is to be looked at again."""
    period_end: int
    threshold: str
    """In force, in words."""
    fired_at: int
    transaction: int | None
    """The one that made it true; None where a check, a changed limit or a new event found it so."""
    late: bool
    """The transaction came when its period was over."""
    trace: list[dict[str, Any]]

    @property
    def mark(self) -> Mark:
        """What it fired for."""
        return Mark(self.event, self.account, self.period_start, self.threshold)


class Firings(msgspec.Struct):
    """What is to be written, in one store transaction with what caused it."""

    fired: list[Fired] = msgspec.field(default_factory=list)
    marks: list[Mark] = msgspec.field(default_factory=list)
    """What came true besides, while the event held already."""


class Marks:
    """For what events have fired."""

    def __init__(self) -> None:
        self._marks: dict[tuple[int, str], set[tuple[int, str]]] = {}
        self._owing: dict[tuple[int, str], str] = {}
        """The threshold at which an account owes too much, and the event has fired for it: that holds on over the end
        of a period, and does not become true again there."""

    def add(self, mark: Mark, *, standing: bool = False) -> None:
        """Never fire again for this; `standing` if it is of what is owed."""
        key = mark.event, mark.account
        self._marks.setdefault(key, set()).add((mark.period_start, mark.threshold))
        if standing:
            self._owing[key] = mark.threshold

    def forget(self, event: int) -> None:
        """Drop those of an event that is gone."""
        for known in (self._marks, self._owing):
            for key in [key for key in known if key[0] == event]:
                del known[key]

    def owes_no_more(self, event: int, account: str) -> None:
        """What an account owes is not above its limit: when it is again, that became true anew."""
        self._owing.pop((event, account), None)

    def covered(self, event: int, account: str, judgement: Judgement) -> bool:
        """Whether something for which it holds is one it has fired for: then it did not become true just now."""
        return any(self._noted(event, account, judgement))

    def has_all(self, event: int, account: str, judgement: Judgement) -> bool:
        """Whether everything for which it holds is noted."""
        return all(self._noted(event, account, judgement))

    def _noted(self, event: int, account: str, judgement: Judgement) -> list[bool]:
        key = event, account
        marks, owing = self._marks.get(key, ()), self._owing.get(key)
        return [
            (o.starts_at, o.threshold) in marks or (o.standing and o.threshold == owing) for o in judgement.occasions
        ]

    def take(
        self, event: int, account: str, judgement: Judgement, now: int, transaction: int | None, firings: Firings
    ) -> None:
        """Note what an event holds for; it goes into `firings` if that became true with this judgement."""
        key = event, account
        occasions = judgement.occasions
        # Not by the occasions: that of a late record may be over since before the event was made.
        if not any(finding.condition.of_exposure and finding.holds for finding in judgement.findings):
            self.owes_no_more(event, account)
        if not occasions:
            return
        if not self.covered(event, account, judgement):
            firings.fired.append(_fired(event, account, judgement, occasions[0], now, transaction))
            self.add(firings.fired[-1].mark, standing=occasions[0].standing)
        for occasion in occasions:
            mark = Mark(event, account, occasion.starts_at, occasion.threshold)
            if occasion.standing and self._owing.get(key) == occasion.threshold:
                continue  # it has no periods of its own while it holds on
            if mark[2:] not in self._marks.get(key, ()):
                firings.marks.append(mark)
            self.add(mark, standing=occasion.standing)


def _fired(
    event: int, account: str, judgement: Judgement, occasion: Occasion, now: int, transaction: int | None
) -> Fired:
    return Fired(
        event,
        account,
        occasion.starts_at,
        occasion.ends_at,
        occasion.threshold,
        now,
        transaction,
        transaction is not None and occasion.ends_at <= now,
        trace(judgement),
    )
