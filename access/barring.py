"""The port: how a switch is told to bar a service and give it back, and asked whether it has.

Everything here is safe to repeat: to bar twice is to bar. Nothing raises for what a switch does or fails to do.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from access.target import Target


class Outcome(StrEnum):
    """What a switch said to a command."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """No answer, or one that cannot be understood: the command may have been carried out, or not."""


class Answer(msgspec.Struct, frozen=True):
    """The end of a command, with the switch's own words or ours."""

    outcome: Outcome
    words: str


class Holding(StrEnum):
    """What a switch said of a target's state."""

    HOLDS = "holds"
    NOT_YET = "not-yet"
    UNKNOWN = "unknown"
    """It could not be asked."""


class Verdict(msgspec.Struct, frozen=True):
    """What was found at the switch, in words too."""

    state: Holding
    words: str


class Barring(Protocol):
    """A driver of one switch. Several calls may be under way, never two for one target."""

    async def bar(self, target: Target, reason: str) -> Answer:
        """Let the target no longer be used, and end what is using it now. `reason` is for the switch's log and the
        caller's display."""

    async def restore(self, target: Target) -> Answer:
        """Let the target be used again, whether or not it was barred."""

    async def verify(self, target: Target, *, barred: bool) -> Verdict:
        """Look whether the target is barred and out of use, or is not barred. Changes nothing."""

    async def check(self, targets: Sequence[Target]) -> list[Verdict]:
        """Look whether many targets that were confirmed as barred still are, as cheaply as the switch allows: a verdict
        for each, in their order. Changes nothing."""
        return [await self.verify(target, barred=True) for target in targets]

    async def close(self) -> None:
        """Let go of connections. Nothing is called afterwards."""
