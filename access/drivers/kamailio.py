"""Kamailio over JSON-RPC: a number is barred by its entry in a hash table, which the routing script looks at, and its
calls are ended through the modules dialog and tm. Written against Kamailio 5.6.

An entry's value is the reason with the services that are barred, `over the limit [long-distance,voice-mail]`. The
script as it is shipped bars all calls of a number that has one; the last service's restore takes it away.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote
from weakref import WeakValueDictionary

import msgspec

from access.barring import Answer, Holding, Outcome, Verdict
from access.drivers.json_rpc import JSONRPC, Fault, NoAnswer, Result
from access.drivers.rpc_commands import BARRED, NOT_BARRED, RPCCommands, says_absent
from access.target import Target

TIMEOUT_S: Final = 5.0
"""A request that Kamailio cannot read gets no answer at all."""
FEW: Final = 20
"""So many numbers are looked up one by one; of more the whole table is read."""
CALLS: Final = 1000
"""Calls of one number that are looked for at once."""
REASON_LENGTH: Final = 200
_DELETED: Final = 5
"""States of a dialog: 1 unconfirmed, 2 early, 3 confirmed without ACK, 4 confirmed, 5 deleted."""
_RINGING: Final = 2
_VALUE: Final = re.compile(r"(.*) \[([^][]*)\]", re.DOTALL)


class Barred(msgspec.Struct, frozen=True):
    """An entry of the table of barred numbers."""

    reason: str
    services: frozenset[str]
    """Empty: somebody else made the entry, and it bars everything."""

    def bars(self, service: str) -> bool:
        """Whether the service is barred."""
        return not self.services or service in self.services


class LiveCall(msgspec.Struct, frozen=True, rename={"call_id": "call-id"}):
    """A dialog, as far as it takes to end it."""

    class Caller(msgspec.Struct, frozen=True):
        """The calling side."""

        cseq: str

    h_entry: int
    h_id: int
    call_id: str
    state: int
    caller: Caller


class _Slot(msgspec.Struct, frozen=True):
    """A part of the table, as htable.dump tells it."""

    class Entry(msgspec.Struct, frozen=True):
        """One key."""

        name: str
        value: str | int

    slot: list[Entry]


class _Failed(Exception):
    """Ends a command or a look; carries what the switch said."""

    def __init__(self, said: Fault | NoAnswer, words: str) -> None:
        super().__init__(words)
        self.said = said


class KamailioBarring:
    """Implements `access.barring.Barring`. `services` are those that have commands of their own; for the others `table`
    is the hash table that the routing script looks at."""

    def __init__(
        self,
        url: str,
        *,
        services: Mapping[str, RPCCommands] | None = None,
        table: str = "bar",
        timeout_s: float = TIMEOUT_S,
        idle: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`idle` is told of each line that is barred and makes no call any more: it has no session either."""
        self._services = dict(services or {})
        self._rpc = JSONRPC(url, timeout_s)
        self._table = table
        self._idle = idle
        self._dumps = True
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def bar(self, target: Target, reason: str) -> Answer:
        if commands := self._services.get(target.service):
            return await commands.carry_out(self._rpc, commands.bar, target, _one_line(reason))
        if not _is_number(target):
            return _not_a_number(target)
        try:
            async with self._turn_of(target):
                entry = await self._entry(target)
                services = (entry.services if entry else frozenset()) | {target.service}
                await self._set(target, Barred(_one_line(reason), services))
            calls = await self._calls(target)
            for call in calls:
                await self._end(call)
        except _Failed as failed:
            return _answer(failed)
        return Answer(Outcome.ACKNOWLEDGED, f"barred{_of_calls(len(calls), 'told to end')}")

    async def restore(self, target: Target) -> Answer:
        if commands := self._services.get(target.service):
            return await commands.carry_out(self._rpc, commands.restore, target, "")
        if not _is_number(target):
            return _not_a_number(target)
        try:
            async with self._turn_of(target):
                entry = await self._entry(target)
                if entry is None:
                    return Answer(Outcome.ACKNOWLEDGED, "was not barred")
                if services := entry.services - {target.service}:
                    await self._set(target, Barred(entry.reason, services))
                    return Answer(Outcome.ACKNOWLEDGED, f"restored; {_list(services)} stays barred")
                await self._said("htable.delete", self._table, target.number, absent=404)
        except _Failed as failed:
            return _answer(failed)
        return Answer(Outcome.ACKNOWLEDGED, "restored")

    async def verify(self, target: Target, *, barred: bool) -> Verdict:
        if commands := self._services.get(target.service):
            return await commands.look(self._rpc, target, barred=barred)
        if not _is_number(target):
            return Verdict(Holding.NOT_YET, _not_a_number(target).words)
        try:
            entry = await self._entry(target)
            is_barred = entry is not None and entry.bars(target.service)
            if is_barred != barred:
                return Verdict(Holding.NOT_YET, "still barred" if is_barred else "not barred")
            calls = await self._calls(target) if barred else []
        except _Failed as failed:
            state = Holding.UNKNOWN if isinstance(failed.said, NoAnswer) else Holding.NOT_YET
            return Verdict(state, str(failed))
        if calls:
            return Verdict(Holding.NOT_YET, f"barred{_of_calls(len(calls), 'still up')}")
        if barred:
            self._idle(target.line)
        return Verdict(Holding.HOLDS, "barred, and no call is up" if barred else "not barred")

    async def check(self, targets: Sequence[Target]) -> list[Verdict]:
        """By the table alone: a number that is in it begins no call. One after the other, for Kamailio has calls to put
        through."""
        entries = await self._whole_table() if self._dumps and len(targets) > FEW else None
        verdicts: list[Verdict] = []
        for target in targets:
            if verdicts and verdicts[-1].state is Holding.UNKNOWN:
                verdicts.append(verdicts[-1])  # it does not answer: it is not asked as often as there are bars
            elif commands := self._services.get(target.service):
                verdict = await commands.look(self._rpc, target, barred=True)
                is_clear = verdict.state is Holding.HOLDS or verdict.words == NOT_BARRED
                verdicts.append(verdict if is_clear else Verdict(Holding.UNKNOWN, verdict.words))
            elif entries is not None:
                verdicts.append(_standing(entries.get(target.number), target))
            else:
                verdicts.append(await self._stands(target))
        if entries is None and len(targets) > FEW and verdicts[-1].state is not Holding.UNKNOWN:
            self._dumps = False  # it answers, but not this: the table may be larger than its memory for an answer
        return verdicts

    async def close(self) -> None:
        await self._rpc.close()

    def _turn_of(self, target: Target) -> asyncio.Lock:
        """Held from reading an entry to writing it: the services of a line share it."""
        lock = self._turns.get(target.number)
        if lock is None:
            lock = self._turns[target.number] = asyncio.Lock()
        return lock

    async def _entry(self, target: Target) -> Barred | None:
        answer = await self._rpc.call("htable.get", self._table, target.number)
        match answer:
            case Result({"item": {"value": value}}):
                return _entry_of(str(value))
            case Fault() if says_absent(answer):
                return None
            case Result(_):
                raise _unreadable("htable.get")
        raise _Failed(answer, _words("htable.get", answer))

    async def _stands(self, target: Target) -> Verdict:
        try:
            return _standing(await self._entry(target), target)
        except _Failed as failed:
            return Verdict(Holding.UNKNOWN, str(failed))

    async def _whole_table(self) -> dict[str, Barred] | None:
        """The entries by number; None if it does not say."""
        answer = await self._rpc.call("htable.dump", self._table)
        try:
            slots = msgspec.convert(answer.value, list[_Slot]) if isinstance(answer, Result) else None
        except msgspec.ValidationError:
            return None
        if slots is None:
            return None
        return {entry.name: _entry_of(str(entry.value)) for slot in slots for entry in slot.slot}

    async def _set(self, target: Target, entry: Barred) -> None:
        await self._said("htable.sets", self._table, target.number, _value_of(entry))

    async def _calls(self, target: Target) -> list[LiveCall]:
        """The calls that the number makes and has not ended."""
        found = await self._said("dlg.list_match", "furi", "sw", f"sip:{target.number}@", CALLS, absent=404)
        try:
            calls = msgspec.convert([] if found is None else found, list[LiveCall])
        except msgspec.ValidationError:
            raise _unreadable("dlg.list_match") from None
        return [call for call in calls if call.state != _DELETED]

    async def _end(self, call: LiveCall) -> None:
        """Tell a call to end; whether it does is seen by looking again. One that is over by now is none to end."""
        if call.state <= _RINGING:  # dlg.end_dlg would say that it did, and do nothing
            await self._said("tm.cancel", call.call_id, call.caller.cseq, absent=404, ignored=True)
        else:
            await self._said("dlg.end_dlg", call.h_entry, call.h_id, absent=404, ignored=True)

    async def _said(
        self, method: str, *parameters: str | int, absent: int | None = None, ignored: bool = False
    ) -> Any | None:
        """The result; None for a fault that says there is nothing such, or for any that is ignored. Raises _Failed."""
        answer = await self._rpc.call(method, *parameters)
        match answer:
            case Result(value):
                return value
            case Fault(code, _) if code == absent or ignored:
                return None
        raise _Failed(answer, _words(method, answer))


def _is_number(target: Target) -> bool:
    return target.line.isascii() and target.line.isdigit()


def _not_a_number(target: Target) -> Answer:
    return Answer(Outcome.REFUSED, f"the driver kamailio bars numbers, and {target.line} is none")


def _entry_of(value: str) -> Barred:
    match = _VALUE.fullmatch(value)
    if match is None:
        return Barred(value, frozenset())
    return Barred(match[1], frozenset(unquote(service) for service in match[2].split(",") if service))


def _standing(entry: Barred | None, target: Target) -> Verdict:
    """Whether what the table says bars a target."""
    if entry is not None and entry.bars(target.service):
        return Verdict(Holding.HOLDS, BARRED)
    return Verdict(Holding.NOT_YET, NOT_BARRED)


def _value_of(entry: Barred) -> str:
    return f"{entry.reason} [{','.join(quote(service, safe='') for service in sorted(entry.services))}]"


def _one_line(reason: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in reason)
    return " ".join(printable.split())[:REASON_LENGTH]


def _list(services: frozenset[str]) -> str:
    return ", ".join(sorted(services))


def _of_calls(count: int, what: str) -> str:
    return f", {count} {'call' if count == 1 else 'calls'} {what}" if count else ""


def _answer(failed: _Failed) -> Answer:
    outcome = Outcome.UNKNOWN if isinstance(failed.said, NoAnswer) else Outcome.REFUSED
    return Answer(outcome, str(failed))


def _unreadable(method: str) -> _Failed:
    said = NoAnswer(f"an answer to {method} that cannot be understood")
    return _Failed(said, said.words)


def _words(method: str, answer: Result | Fault | NoAnswer) -> str:
    match answer:
        case Fault(code, message):
            return f"{method}: {code} {message}"
        case NoAnswer(words):
            return words
    raise AssertionError("a result is no failure")
