"""The making of a bill run: every due account's current charges, ready for the store's owner, some hundred at a time.

It reads with a connection of its own, in a process of its own, and writes nothing.
"""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from control.billing.bill import pack
from control.billing.biller import BILLS_AT_A_TIME
from control.billing.charges import Charges
from control.billing.consolidate import Offsets, Row, consolidate
from control.billing.due import Due
from control.billing.gathering import Lots, gather, lots_for
from control.billing.letterhead import Letterhead

MOST_BYTES: Final = 4 << 20
"""Of the documents that are handed over at a time, but for the last one's."""


def charges_of(
    cx: sqlite3.Connection,
    due: Mapping[str, Due],
    upto: int,
    directory: Path,
    progress: Callable[[int], None] = lambda _: None,
    letterhead: Letterhead | None = None,
) -> Generator[list[Charges], None, None]:
    """The current charges of accounts, of the transactions up to an id, in the parts in which they are handed over.

    Transactions are laid out in files in `directory` meanwhile; `progress` is told how many have been looked at;
    `letterhead` stands on the invoices.
    """
    zones: dict[str, Offsets] = {}
    part: list[Charges] = []
    size = 0
    with Lots(directory, lots_for(cx, upto)) as lots:
        gather(cx, due, upto, lots, progress)
        carrying: list[list[str]] = [[] for _ in range(len(lots))]
        for account, one in due.items():
            if one.carries:
                carrying[lots.lot_of(account)].append(account)
        for lot, carried in enumerate(carrying):
            rows_of = lots.take(lot)
            for account in sorted(rows_of.keys() | set(carried)):
                one = due[account]
                offsets = zones.setdefault(one.account.timezone, Offsets(one.account.timezone))
                part.append(charges_from(one, rows_of.pop(account, []), upto, offsets, letterhead))
                size += len(part[-1].document)
                if len(part) == BILLS_AT_A_TIME or size > MOST_BYTES:
                    yield part
                    part, size = [], 0
    if part:
        yield part


def charges_from(
    one: Due, rows: Sequence[Row], upto: int, offsets: Offsets, letterhead: Letterhead | None = None
) -> Charges:
    """An account's charges from its transactions; `offsets` are those of its zone."""
    account, cycle = one.account, one.cycle
    document = msgspec.structs.replace(consolidate(rows, account.timezone, offsets), letterhead=letterhead)
    return Charges(
        account=account.account,
        name=account.name,
        currency=account.currency,
        timezone=account.timezone,
        period=cycle.period,
        cycle_start=cycle.start,
        cycle_end=cycle.end,
        covers_id=upto,
        follows=one.follows,
        charges_micros=document.charges_micros,
        calls=len(rows),
        document=pack(document),
    )
