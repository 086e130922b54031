"""One simulated exchange: its live calls, and who is barred. A POP, a NAS and a switch are views of the same one.

No clock and no socket: `now` is given in, and who watches is told of each call as it is answered and as it ends.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from simulators.call_records import Record, rfc3339, seconds
from simulators.conversation import NORMAL_CLEARING

REFUSED: Final = 21
"""Call rejected (ITU-T Q.850): what a caller hears who is barred."""
CUT: Final = 31
"""Normal, unspecified: somebody at the exchange ended the call."""

_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """A call as its caller means it to go."""

    record: Record
    """What its record is to say, but for the times and the cause; `calling` and `called` at least."""
    ring: timedelta = timedelta(0)
    """Until it is answered, or given up."""
    talk: timedelta | None = None
    """None: until somebody ends it; nothing: nobody answers."""
    cause: int = NORMAL_CLEARING
    """Release cause (ITU-T Q.850), if nothing comes between."""
    username: str | None = None
    """The login by which the line is on; None: the line itself."""


@dataclass(slots=True, eq=False)
class Call:
    """A call that is going on."""

    number: int
    """Counts the exchange's calls up from 1."""
    session: str
    plan: Plan
    begun_at: datetime
    answered_at: datetime | None = None

    @property
    def calling(self) -> str:
        """Who calls: E.164 with its `+`, or an address."""
        return str(self.plan.record["calling"])

    @property
    def called(self) -> str:
        """Who is called."""
        return str(self.plan.record["called"])

    @property
    def is_message(self) -> bool:
        """Then it is over as soon as it has begun, and has no cause."""
        return self.plan.record.get("type") == "message"


class Watcher(Protocol):
    """Is told what happens at the exchange, at once and in order."""

    def answered(self, call: Call) -> None:
        """They talk."""

    def ended(self, call: Call, record: Record) -> None:
        """It is over, or failed at once; this is its record."""


class Exchange:
    """The calls of all lines. All instants have an offset, and count in whole milliseconds."""

    def __init__(self, name: str | None = None) -> None:
        """`name` is named in every record that does not name a switch."""
        self.barred: dict[str, str] = {}
        """Who is barred, each with what was said of it."""
        self.refused = 0
        """Calls that failed because their line was barred."""
        self.cut = 0
        """Calls that somebody at the exchange ended."""
        self._name = name
        self._live: dict[str, Call] = {}
        self._placed = 0
        self._due: list[tuple[datetime, int, Call]] = []
        self._watchers: list[Watcher] = []

    @property
    def live(self) -> int:
        """Calls that are going on."""
        return len(self._live)

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody from now on."""
        self._watchers.append(watcher)

    def calls(self) -> Iterator[Call]:
        """Those that are going on, the oldest first."""
        return iter(tuple(self._live.values()))

    def calls_of(self, number: str) -> list[Call]:
        """Those that a line makes."""
        return [call for call in self._live.values() if call.calling == number]

    def place(self, plan: Plan, now: datetime, session: str | None = None) -> Call | None:
        """Begin a call; None: its line is barred, and it has failed. `session` is what it is known by, by default its
        record's id. A plan of the past goes on where it would be now at the next `advance`."""
        self._placed += 1
        call = Call(self._placed, session or str(plan.record.get("id", self._placed)), plan, _whole(now))
        if call.calling in self.barred:
            self.refused += 1
            if not call.is_message:  # what was not sent is on no record
                self._tell_end(call, call.begun_at, REFUSED)
            return None
        assert call.session not in self._live, f"there is a call {call.session} already"
        self._live[call.session] = call
        if plan.ring or plan.talk == timedelta(0):
            self._expect(call, call.begun_at + plan.ring)
        else:
            self._answer(call, call.begun_at)
        return call

    def end(self, call: Call, now: datetime, cause: int = NORMAL_CLEARING) -> bool:
        """End a call now, with its record of how long it was; whether it was going on."""
        if self._live.get(call.session) is not call:
            return False
        del self._live[call.session]
        self.cut += cause == CUT
        self._tell_end(call, _whole(now), cause)
        return True

    def bar(self, number: str, words: str) -> bool:
        """Let a line's next calls fail; whether it was not barred. Its live calls go on until they are ended."""
        is_new = number not in self.barred
        self.barred[number] = words
        return is_new

    def end_calls(self, number: str, now: datetime) -> int:
        """End what a line has going on; how many calls."""
        return sum(self.end(call, now, CUT) for call in self.calls_of(number))

    def restore(self, number: str) -> bool:
        """Let a line call again; whether it was barred."""
        return self.barred.pop(number, None) is not None

    def advance(self, now: datetime) -> None:
        """Let calls be answered and end that are due by now, each at its own instant."""
        while self._due and self._due[0][0] <= now:
            at, _, call = heapq.heappop(self._due)
            if self._live.get(call.session) is not call:
                continue
            if call.answered_at is None and call.plan.talk != timedelta(0):
                self._answer(call, at)
            else:
                self.end(call, at, call.plan.cause)

    def next_at(self) -> datetime | None:
        """When to advance; it may turn out that nothing was due."""
        return self._due[0][0] if self._due else None

    def _expect(self, call: Call, at: datetime) -> None:
        heapq.heappush(self._due, (at, call.number, call))

    def _answer(self, call: Call, at: datetime) -> None:
        call.answered_at = _whole(at)
        if call.plan.talk is not None:
            self._expect(call, call.answered_at + call.plan.talk)
        for watcher in self._watchers:
            watcher.answered(call)

    def _tell_end(self, call: Call, at: datetime, cause: int) -> None:
        record = _record(call, at, cause, self._name)
        for watcher in self._watchers:
            watcher.ended(call, record)


def _record(call: Call, ended_at: datetime, cause: int, switch: str | None) -> Record:
    """What a call was; `session` is there for others who report it too."""
    lasted = max(timedelta(0), ended_at - call.answered_at) if call.answered_at else timedelta(0)
    zone = call.begun_at.tzinfo or UTC
    record: Record = {"id": call.session, **call.plan.record, "start": rfc3339(call.begun_at, zone)}
    record.pop("answer", None)
    if call.answered_at and lasted:
        record["answer"] = rfc3339(call.answered_at, zone)
    record |= {"duration": seconds(lasted // _MILLISECOND), "session": call.session}
    if not call.is_message:
        record["cause"] = cause
    if switch:
        record.setdefault("switch", switch)
    return record


def _whole(instant: datetime) -> datetime:
    """To the millisecond before."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
