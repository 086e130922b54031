"""What the maker of a bill run hands to the store's owner: one account's current charges, ready to go on a bill."""

from typing import Final

import msgspec

from control.billing.cycles import Cycle

MOST_MICROS: Final = 1 << 62
"""Of an amount on a bill: two of them still fit into the store's 64 bits."""


class Charges(msgspec.Struct, frozen=True, array_like=True):
    """An account's current charges of a cycle."""

    account: str
    name: str
    currency: str
    timezone: str
    period: str
    cycle_start: int
    cycle_end: int
    covers_id: int
    """The last transaction that was looked at."""
    follows: int
    """The account's latest bill when this was reckoned, 0 without one: if it has another by now, this is void."""
    charges_micros: int
    calls: int
    document: bytes
    """Packed."""

    @property
    def cycle(self) -> Cycle:
        """The cycle that is billed."""
        return Cycle(self.period, self.cycle_start, self.cycle_end)
