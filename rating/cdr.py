"""The call detail record as rating sees it: normalised, whole numbers only, no clock."""

from typing import Any, Final

import msgspec

MICROS: Final = 1_000_000
"""Microseconds in a second, and micro-units in a unit of money."""

CALL_TYPES: Final = frozenset(
    {
        "direct",
        "operator",
        "calling-card",
        "collect",
        "third-number",
        "toll-free",
        "premium",
        "conference",
        "message",
        "data",
    }
)

UNIT_TYPES: Final = frozenset({"message", "data"})
"""Types charged by `units` instead of seconds."""


class CDR(msgspec.Struct, frozen=True, gc=False):
    """One call, message or data session, as a feed delivers it after its format is parsed.

    A msgspec struct and not a dataclass: it is built once a record on the ingest path, and costs a fifth there.
    Two CDRs are the same record delivered twice when `source`, `id` and `start_at` are equal and the rest is too.
    """

    source: str
    """The POP, switch, NAS or file drop that reported it."""
    id: str
    """The source's own identification; used again by some switches after a wrap."""
    calling: str
    """Calling number (A-number): E.164 digits without `+` (ITU-T E.164), or the text of a sip:/ip: address."""
    called: str
    """Called number (B-number), in the same form."""
    start_at: int
    """When the call was offered; microseconds since 1970 UTC."""
    offset_min: int
    """The source's UTC offset at `start_at`, in minutes, east positive."""
    answer_at: int
    """When it was answered, microseconds since 1970 UTC; never before `start_at`."""
    duration_us: int
    """From the answer to the end, microseconds ≥ 0; 0 is a call that was not answered."""
    type: str = "direct"
    """One of `CALL_TYPES`."""
    service: str | None = None
    """The service used, where the source says so; otherwise the line's first one."""
    charge_to: str | None = None
    """Line that pays for a calling-card or third-number call."""
    units: int | None = None
    """Messages, or units of data, ≥ 0; stands in the place of seconds for `UNIT_TYPES`."""
    device: str | None = None
    place: str | None = None
    """Place called, as the switch names it."""
    cause: int | str | None = None
    """Release cause, ITU-T Q.850."""
    switch: str | None = None
    trunk_in: str | None = None
    trunk_out: str | None = None
    session: str | None = None
    leg: str | None = None
    username: str | None = None
    partial: int | None = None
    """Number of an intermediate record of a long call."""
    last: bool | None = None
    """True on the final record of a call that was reported in parts."""
    extra: dict[str, Any] | None = None
    """Fields that the contract does not name, as they came."""

    @property
    def quantity_us(self) -> int:
        """What is charged for, in microseconds; a unit of a message or data record counts as a second."""
        if self.type in UNIT_TYPES:
            return (1 if self.units is None else self.units) * MICROS
        return self.duration_us

    @property
    def rated_number(self) -> str:
        """The number that finds the destination: the called one, for toll-free the calling one."""
        return self.calling if self.type == "toll-free" else self.called
