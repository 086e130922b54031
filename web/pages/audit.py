"""The audit log, for auditors and staff: who changed what, when and why; all of it, or what a filter leaves."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from control import audit
from control.audit import Entry, Filter
from control.events.evaluation import instant_text
from rating.cdr import MICROS
from web.pages.orders import number_in
from web.pages.suspense_forms import FormRefused
from web.rendering import render
from web.routing import AUDITORS, Route
from web.site import Site

ROWS: Final = 100
DOWNLOAD_ROWS: Final = 1_000
"""Entries of one read of a download."""
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
        before, typed = number_in(request.query, "before"), _typed(request.query)
        refused, found = None, list[Entry]()
        try:
            found = await self._read(_filter_of(typed), before, ROWS + 1)
        except FormRefused as said:
            refused = said
        here = URL("/audit").with_query(typed)
        context = {
            "entries": found[:ROWS],
            "typed": typed,
            "refused": refused,
            "csv": URL("/audit.csv").with_query(typed),
            "next_page": here.update_query(before=found[ROWS - 1].id) if len(found) > ROWS else None,
            "first_page": here if before is not None else None,
        }
        return render(request, "audit.html", context)

    async def _csv(self, request: web.Request) -> web.StreamResponse:
        typed = _typed(request.query)
        try:
            wanted = _filter_of(typed)
        except FormRefused:
            raise web.HTTPSeeOther(URL("/audit").with_query(typed)) from None  # which says what is wrong
        answer = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="audit.csv"'})
        answer.content_type, answer.charset = "text/csv", "utf-8"
        await answer.prepare(request)
        await answer.write(_lines([HEADER]))
        async for some in self._everything(wanted):
            await answer.write(_lines([_cells(entry) for entry in some]))
        await answer.write_eof()
        return answer

    async def _everything(self, wanted: Filter) -> AsyncIterator[list[Entry]]:
        before = None
        while found := await self._read(wanted, before, DOWNLOAD_ROWS):
            yield found
            before = found[-1].id

    async def _read(self, wanted: Filter, before: int | None, limit: int) -> list[Entry]:
        return await self._site.readers.read(lambda cx: audit.entries(cx, limit=limit, before=before, wanted=wanted))


def _typed(query: MultiMapping[str]) -> dict[str, str]:
    return {name: text for name in ("who", "words", "from", "to") if (text := query.get(name, "").strip()[:200])}


def _filter_of(typed: dict[str, str]) -> Filter:
    """Days are UTC, both included. Raises FormRefused."""
    first, last = _day(typed, "from"), _day(typed, "to")
    if first is not None and last is not None and last < first:
        raise FormRefused("to", "the last day is before the first one")
    return Filter(
        typed.get("who", ""),
        tuple(typed.get("words", "").split()),
        None if first is None else _midnight(first),
        None if last is None else _midnight(last + timedelta(days=1)),
    )


def _day(typed: dict[str, str], name: str) -> date | None:
    try:
        day = date.fromisoformat(typed[name]) if name in typed else None
    except ValueError:
        raise FormRefused(name, f"“{typed[name]}” is not a day: write it as 2026-11-20") from None
    if day is not None and not 1970 <= day.year <= 9998:
        raise FormRefused(name, "the log has nothing of that year")
    return day


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), ZoneInfo("UTC")).timestamp()) * MICROS


def _cells(entry: Entry) -> tuple[object, ...]:
    texts = (entry.actor, entry.action, entry.subject, entry.detail)
    return (entry.id, instant_text(entry.at), *("'" + text if text.startswith(_FORMULA) else text for text in texts))


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
