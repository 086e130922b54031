"""Services that an account event is to bar and that no line has at a switch: told, not refused, since what services are
called is the provider's affair, and lines with them may come later."""

import sqlite3
from typing import Final

from control.events.definition import Bar, EventDefinition

_NAMED: Final = 20
"""At most so many of the services that there are."""


def warnings_of(cx: sqlite3.Connection, event: EventDefinition) -> list[str]:
    """What people are to be told about the bars of an event. For a service that is not found every line is read."""
    services = [service for response in event.respond if isinstance(response, Bar) for service in response.services]
    unserved = [service for service in dict.fromkeys(services) if not _is_served(cx, service)]
    if not unserved:
        return []
    rows = cx.execute("SELECT DISTINCT service FROM lines WHERE shard = 0 AND switch IS NOT NULL ORDER BY service")
    served = ", ".join(service for (service,) in rows.fetchmany(_NAMED))
    others = f"at switches are {served}" if served else "no line names a switch"
    return [f"no line has “{service}” at a switch, so nothing of it is barred; {others}" for service in unserved]


def _is_served(cx: sqlite3.Connection, service: str) -> bool:
    sql = "SELECT 1 FROM lines WHERE shard = 0 AND service = ? AND switch IS NOT NULL LIMIT 1"
    return cx.execute(sql, (service,)).fetchone() is not None
