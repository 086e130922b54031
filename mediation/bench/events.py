"""Account events for a bench's site: on every account, of the usual kinds, and out of reach, so that nothing fires."""

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from control.events import event_rows
from control.events.definition_json import parse_event
from mediation.schema import all_migrations
from rating.store.sqlite import open_store

_OUT_OF_REACH: Final = 10**9
_CONDITIONS: Final[tuple[dict[str, Any], ...]] = (
    {"measure": "charges", "period": "bill-cycle", "above": f"{_OUT_OF_REACH}.00"},
    {"measure": "minutes", "period": "month", "above": _OUT_OF_REACH},
    {"measure": "calls", "period": "day", "service": "long-distance", "above": _OUT_OF_REACH},
)
PERIODIC_S: Final = 3600


def prescribe(store: Path, number: int) -> None:
    """Write so many events on all accounts into a store that no daemon has open."""
    asyncio.run(_prescribe(store, number))


async def _prescribe(path: Path, number: int) -> None:
    now = time.time_ns() // 1000
    store = await open_store(path, all_migrations(), now)
    try:
        for index in range(number):
            document = {
                "accounts": {"all": True},
                "name": f"bench {index + 1}",
                "when": _CONDITIONS[index % len(_CONDITIONS)],
                "check": {"continuous": True},
                "alert": [{"by": "email"}],
            }
            await store.transact(event_rows.insert_event, parse_event(document), "bench", now, PERIODIC_S)
    finally:
        await store.close()
