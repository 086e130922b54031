"""The audit log, for auditors and staff: who changed what, when and why."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web
from yarl import URL

from control.audit import Entry, entries
from control.events.evaluation import instant_text
from control.users import Role
from web.rendering import render
from web.routing import Route
from web.site import Site

ROWS: Final = 100
DOWNLOAD_ROWS: Final = 1_000
"""Entries of one read of a download."""
AUDITORS: Final = frozenset({Role.STAFF, Role.AUDITOR})
HEADER: Final = ("id", "at", "actor", "action", "subject", "detail")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


class AuditPages:
    """`/audit`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/audit", self._list, AUDITORS, "Who changed what, when and why"),
            Route("GET", "/audit.csv", self._csv, AUDITORS, "The audit log, as CSV"),
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        text = request.query.get("before", "")
        before = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
        found = await self._read(before, ROWS + 1)
        more = len(found) > ROWS
        context = {
            "entries": found[:ROWS],
            "next_page": URL("/audit").with_query(before=found[ROWS - 1].id) if more else None,
            "first_page": "/audit" if before is not None else None,
        }
        return render(request, "audit.html", context)

    async def _csv(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="audit.csv"'})
        answer.content_type, answer.charset = "text/csv", "utf-8"
        await answer.prepare(request)
        await answer.write(_lines([HEADER]))
        async for some in self._everything():
            await answer.write(_lines([_cells(entry) for entry in some]))
        await answer.write_eof()
        return answer

    async def _everything(self) -> AsyncIterator[list[Entry]]:
        before = None
        while found := await self._read(before, DOWNLOAD_ROWS):
            yield found
            before = found[-1].id

    async def _read(self, before: int | None, limit: int) -> list[Entry]:
        return await self._site.readers.read(lambda cx: entries(cx, limit=limit, before=before))


def _cells(entry: Entry) -> tuple[object, ...]:
    texts = (entry.actor, entry.action, entry.subject, entry.detail)
    return (entry.id, instant_text(entry.at), *("'" + text if text.startswith(_FORMULA) else text for text in texts))


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
