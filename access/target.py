"""What is barred and restored: one service of one line, at the switch that serves it."""

from typing import NamedTuple

import msgspec


class TargetKey(NamedTuple):
    """What makes two targets the same one: orders for it go out one at a time."""

    switch: str
    line: str
    service: str


class Target(msgspec.Struct, frozen=True):
    """A service of a line at a switch."""

    switch: str
    """The name of a `[switches.…]`."""
    line: str
    """As the store keys it: digits of E.164 without `+`, or the text of an address (`sip:user@host` …)."""
    service: str
    username: str | None = None
    """The login that a NAS knows the line by; None where it is the line itself."""

    @property
    def key(self) -> TargetKey:
        """What the target is known by; the login may change."""
        return TargetKey(self.switch, self.line, self.service)

    @property
    def number(self) -> str:
        """The line as people and switches write it: E.164 with its `+`, an address as it stands."""
        return "+" + self.line if self.line[:1].isdigit() else self.line
