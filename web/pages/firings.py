"""Firings, for staff: which account event fired, with what values, and what followed."""

import sqlite3
from typing import Any, Final

import msgspec
from aiohttp import web
from yarl import URL

from access.orders import Order
from control import bars
from control.alerts import alert_rows
from control.alerts.alert import Alert
from control.events import event_rows
from control.events.event_rows import StoredFiring
from web.rendering import render
from web.routing import STAFF, Route
from web.site import Site

ROWS: Final = 30
MOST_ALERTS: Final = 20


class FiringShown(msgspec.Struct, frozen=True):
    """A firing with all that belongs to it."""

    firing: StoredFiring
    event: str
    """Its name, as it is called now."""
    is_deleted: bool
    trace: list[dict[str, Any]]
    orders: list[Order]
    alerts: list[Alert]


class FiringsPages:
    """`/firings`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (Route("GET", "/firings", self._list, STAFF, "What fired, why, and what followed"),)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        account, before = request.query.get("account", "").strip()[:100], request.query.get("before", "")
        start = int(before) if before.isascii() and before.isdigit() and len(before) <= 18 else None
        found = await self._site.readers.read(_firings, account or None, start)
        here = URL("/firings").with_query({"account": account} if account else {})
        context = {
            "firings": found[:ROWS],
            "account": account,
            "next_page": here.update_query(before=found[ROWS - 1].firing.id) if len(found) > ROWS else None,
            "first_page": here if start is not None else None,
        }
        return render(request, "firings.html", context)


def _firings(cx: sqlite3.Connection, account: str | None, before: int | None) -> list[FiringShown]:
    """One read; one more than a page shows."""
    shown = []
    for firing in event_rows.list_firings(cx, account, before=before, limit=ROWS + 1):
        event = event_rows.event_by_id(cx, firing.event)
        shown.append(
            FiringShown(
                firing,
                event.definition.name if event else f"event {firing.event}",
                event is None or event.state == "deleted",
                msgspec.json.decode(firing.trace),
                bars.of_firing(cx, firing.account, firing.id),
                alert_rows.alerts(cx, firing=firing.id, limit=MOST_ALERTS),
            )
        )
    return shown
