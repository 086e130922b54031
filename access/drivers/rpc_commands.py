"""A service that is barred by JSON-RPC commands of the configuration, instead of the driver's own way.

A template is `method parameter parameter`, several with `;` between: `htable.sets no-fax {line} {reason}`. A slot is
filled as a whole text of JSON, so that nothing in it can become another parameter; whole numbers are sent as such.
"""

import shlex
from dataclasses import dataclass
from typing import Final

from access.barring import Answer, Holding, Outcome, Verdict
from access.drivers.json_rpc import JSONRPC, Fault, NoAnswer, Result
from access.target import Target

BARRED: Final = "barred"
NOT_BARRED: Final = "not barred"
SLOTS: Final = ("{line}", "{reason}", "{service}")


def says_absent(answer: Result | Fault) -> bool:
    """Whether there is no such thing: htable.get of Kamailio 5.6 says so in words, with the code of every fault."""
    return isinstance(answer, Fault) and (answer.code == 404 or "key name" in answer.message.lower())


class TemplateError(ValueError):
    """A template that cannot be used; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Command:
    """One call, its slots still open."""

    method: str
    parameters: tuple[str | int, ...]

    def filled(self, target: Target, reason: str) -> tuple[str | int, ...]:
        """The parameters for an order."""
        slots = {"{line}": target.number, "{reason}": reason, "{service}": target.service}
        return tuple(slots.get(part, part) if isinstance(part, str) else part for part in self.parameters)


@dataclass(frozen=True, slots=True)
class RPCCommands:
    """How a service is barred, restored and looked at. `verify` has a result while the service is barred, and a fault
    while it is not; None: an acknowledgement has to do."""

    bar: tuple[Command, ...]
    restore: tuple[Command, ...]
    verify: Command | None

    async def carry_out(self, rpc: JSONRPC, commands: tuple[Command, ...], target: Target, reason: str) -> Answer:
        """Send `bar` or `restore`, to the end or to the first that goes wrong. That a thing is not there (404) is no
        fault: then there is nothing to be taken away."""
        for command in commands:
            match await rpc.call(command.method, *command.filled(target, reason)):
                case Fault(code, message) if code != 404:
                    return Answer(Outcome.REFUSED, f"{command.method}: {code} {message}")
                case NoAnswer(words):
                    return Answer(Outcome.UNKNOWN, words)
        return Answer(Outcome.ACKNOWLEDGED, ", ".join(command.method for command in commands))

    async def look(self, rpc: JSONRPC, target: Target, *, barred: bool) -> Verdict:
        """Whether the switch says what is wanted."""
        if self.verify is None:
            return Verdict(Holding.HOLDS, "acknowledged; the configuration has no way to verify it")
        answer = await rpc.call(self.verify.method, *self.verify.filled(target, ""))
        match answer:
            case NoAnswer(words):
                return Verdict(Holding.UNKNOWN, words)
            case Fault(code, message) if not says_absent(answer):
                return Verdict(Holding.NOT_YET, f"{self.verify.method}: {code} {message}")
        is_barred = isinstance(answer, Result)
        return Verdict(Holding.HOLDS if is_barred == barred else Holding.NOT_YET, BARRED if is_barred else NOT_BARRED)


def rpc_commands(bar: str | None, restore: str | None, verify: str | None) -> RPCCommands:
    """The commands of a [switches.NAME.services.NAME]. Raises TemplateError, which names the key."""
    if bar is None or restore is None:
        raise TemplateError("bar and restore go together: write both")
    looks = _parsed("verify", verify) if verify is not None else (None,)
    if len(looks) != 1:
        raise TemplateError("verify: it is one command")
    return RPCCommands(_parsed("bar", bar), _parsed("restore", restore), looks[0])


def _parsed(key: str, template: str) -> tuple[Command, ...]:
    commands = []
    for text in template.split(";"):
        try:
            parts = shlex.split(text)
        except ValueError:
            raise TemplateError(f"{key}: {text.strip()!r} has a quotation mark that does not close") from None
        if not parts or "{" in parts[0]:
            raise TemplateError(f"{key}: write a method and its parameters, such as htable.sets no-fax {{line}} 1")
        for part in parts[1:]:
            if "{" in part and part not in SLOTS:
                raise TemplateError(f"{key}: {part} is no slot: use {', '.join(SLOTS)}, each by itself")
        commands.append(Command(parts[0], tuple(_parameter(part) for part in parts[1:])))
    return tuple(commands)


def _parameter(part: str) -> str | int:
    return int(part) if part.isascii() and part.isdecimal() and (part == "0" or part[0] != "0") else part
