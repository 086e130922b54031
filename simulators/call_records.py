"""Turns a line that calls into a record of the contract's NDJSON: whom it calls, what kind of call, who pays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import accumulate
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from simulators.circle import Acquaintances
from simulators.conversation import NORMAL_CLEARING, Conversation, draw_conversation
from simulators.numbering import PREMIUM, number_in
from simulators.population import Line

Record = dict[str, Any]
"""A CDR as the contract's NDJSON has it, before it is encoded."""

KIND_SHARES: Final = {
    "direct": 0.895,
    "message": 0.04,
    "voice-mail": 0.02,
    "toll-free": 0.015,
    "operator": 0.008,
    "calling-card": 0.008,
    "collect": 0.006,
    "third-number": 0.003,
    "premium": 0.003,
    "conference": 0.002,
}
"""Shares of the kinds of calls. One that the population cannot make (no card, no toll-free number …) is made direct."""

_KINDS: Final = tuple(KIND_SHARES)
_KIND_WEIGHTS: Final = tuple(accumulate(KIND_SHARES.values()))

_MEDIAN_TALK_S: Final = {"voice-mail": 25.0, "conference": 1500.0}
_LOCAL_TALK_S: Final = 60.0
_DISTANT_TALK_S: Final = 100.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the caller does, before anyone answers."""

    kind: str
    called: str
    service: str | None
    """None is left out of the record: the line's first service, or another line's, is meant."""
    charge_to: str | None = None


class CallRecords:
    """Makes records; ids count up, so the same draws make the same records."""

    def __init__(self, lines: Sequence[Line], seed: int, switch: str | None) -> None:
        self._acquaintances = Acquaintances(lines, seed)
        self._cards = [line.number for line in lines if line.is_card]
        self._toll_free = [line.number for line in lines if line.is_toll_free]
        self._id_prefix = f"{seed:x}"
        self._switch = switch
        self._made = 0

    def make(self, line: Line, ended_at: datetime, zone: ZoneInfo, rng: Random) -> Record:
        """The record of a call by this line that ended at that instant; its times are written in `zone`."""
        kind = rng.choices(_KINDS, cum_weights=_KIND_WEIGHTS)[0]
        attempt = self._special_attempt(kind, line, rng) or self._attempt(kind, line, rng)
        talk = _no_talk() if kind == "message" else draw_conversation(self._median_talk_s(attempt, line), rng)
        self._made += 1
        answer_at = ended_at - timedelta(milliseconds=talk.talk_ms)
        record: Record = {
            "id": f"{self._id_prefix}-{self._made:07d}",
            "calling": line.number,
            "called": attempt.called,
            "start": rfc3339(answer_at - timedelta(milliseconds=talk.ring_ms), zone),
        }
        if talk.talk_ms:
            record["answer"] = rfc3339(answer_at, zone)
        record["duration"] = seconds(talk.talk_ms)
        record["type"] = "direct" if attempt.kind == "voice-mail" else attempt.kind
        if attempt.service:
            record["service"] = attempt.service
        if attempt.charge_to:
            record["charge_to"] = attempt.charge_to
        if kind == "message":
            record["units"] = 1 + int(rng.expovariate(1.2))
        else:
            record["cause"] = talk.cause
        if self._switch:
            record["switch"] = self._switch
        return record

    def _special_attempt(self, kind: str, line: Line, rng: Random) -> _Attempt | None:
        """An attempt of a kind that needs something: None where the population does not have it."""
        match kind:
            case "voice-mail" if "voice-mail" in line.services:
                return _Attempt(kind, line.number, "voice-mail")
            case "toll-free" if self._toll_free:
                return _Attempt(kind, rng.choice(self._toll_free), None)
            case "calling-card" if self._cards:
                called = self._acquaintances.draw_called(line, rng)
                return _Attempt(kind, called, None, charge_to=rng.choice(self._cards))
            case "collect" if other := self._acquaintances.draw_other(line, rng):
                return _Attempt(kind, other, None)
            case "third-number" if other := self._acquaintances.draw_other(line, rng):
                return _Attempt(kind, self._acquaintances.draw_called(line, rng), None, charge_to=other)
            case "premium":
                return _Attempt(kind, number_in(PREMIUM, rng), _offered("long-distance", line))
            case "message":
                return _Attempt(kind, self._acquaintances.draw_called(line, rng), _offered("messaging", line))
        return None

    def _attempt(self, kind: str, line: Line, rng: Random) -> _Attempt:
        called = self._acquaintances.draw_called(line, rng)
        service = "local" if self._is_local(line, called) else "long-distance"
        return _Attempt(kind if kind in ("operator", "conference") else "direct", called, _offered(service, line))

    def _median_talk_s(self, attempt: _Attempt, line: Line) -> float:
        ordinary_s = _LOCAL_TALK_S if self._is_local(line, attempt.called) else _DISTANT_TALK_S
        return _MEDIAN_TALK_S.get(attempt.kind, ordinary_s)

    def _is_local(self, line: Line, called: str) -> bool:
        return self._acquaintances.circle_of(line).is_home(called)


def _offered(service: str, line: Line) -> str | None:
    return service if service in line.services else None


def _no_talk() -> Conversation:
    return Conversation(ring_ms=0, talk_ms=0, cause=NORMAL_CLEARING)


def rfc3339(instant: datetime, zone: tzinfo) -> str:
    """An instant as a record has it, to the millisecond."""
    return instant.astimezone(zone).isoformat(timespec="milliseconds")


def seconds(milliseconds: int) -> int | float:
    """Seconds as a record has them. The shortest text of n/1000 is the decimal: nothing is lost in the float."""
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000
