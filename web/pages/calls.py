"""Calls: searched by rows of column, operator and value; each charge explained; downloaded."""

import csv
import io
import sqlite3
from typing import Any, Final

import msgspec
from aiohttp import web
from yarl import URL

from control.users import Principal, Role
from rating.explaining import Explained, NoLongerRated, explain, reverses, stored_rater, tariff_of
from rating.rater import Rater
from rating.search.columns import KINDS, OPERATORS, ORDERED
from rating.search.conditions import SearchError
from rating.search.keys import SORTED_BY
from rating.store.reading import exporter
from rating.store.reductions import reductions_of
from rating.store.rerate_links import links_of
from rating.store.transactions import find_by_id
from web.refusals import NotFound, Refused
from web.rendering import render
from web.request import principal_of
from web.routing import CALLS, Route
from web.searching import Asked, Found, everything, reach_of, read_query, search
from web.site import Site

OPERATOR_WORDS: Final = {
    "=": "is", "!=": "is not", "<": "under", "<=": "at most", ">": "over", ">=": "at least", "between": "between",
    "in": "one of", "begins": "begins with", "contains": "contains", "empty": "is empty",
}  # fmt: skip
COLUMN_WORDS: Final = {
    "account": "Account", "line": "Line", "called": "Called number", "place": "Place called",
    "destination": "Destination", "country": "Country", "service": "Service", "type": "Type", "provider": "Provider",
    "start": "Date and time", "duration": "Duration", "charge": "Charge", "device": "Device",
}  # fmt: skip
CSV_COLUMNS: Final = (
    "transaction", "account", "line", "provider", "calling", "called", "start", "answer", "duration", "billed_s",
    "service", "type", "destination", "place_called", "charge", "currency", "tariff", "source", "id", "reverses",
)  # fmt: skip
SPARE_ROWS: Final = 2
"""Empty rows of a form that nothing is filled into; beside others it offers one."""
_FORMULA: Final = ("=", "@", "+", "-", "\t", "\r")
"""What a spreadsheet takes for the begin of a formula."""
_encode: Final = msgspec.json.Encoder().encode


class CallsPages:
    """`/transactions`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        number = "{transaction:[0-9]{1,18}}"
        return (
            Route("GET", "/transactions", self._calls, CALLS, "Search calls"),
            Route("GET", "/transactions.csv", self._csv, CALLS, "The calls of a search, as CSV"),
            Route("GET", "/transactions.json", self._json, CALLS, "The calls of a search, as NDJSON"),
            Route("GET", f"/transactions/{number}", self._call, CALLS, "A charge explained", owned="transaction"),
        )

    async def _calls(self, request: web.Request) -> web.StreamResponse:
        principal = principal_of(request)
        found: Found | None = None
        error: SearchError | None = None
        asked = Asked((), "", None, 1)
        try:
            asked = read_query(request.query)
            found = await search(self._site, reach_of(self._site, principal), asked)
        except SearchError as refused:
            error = refused
        columns = [column for column in KINDS if column != "account" or principal.role is not Role.CUSTOMER]
        context = {
            "found": found,
            "error": error,
            "error_words": _error_words(error),
            "rows": [*asked.rows, *[("", "=", "")] * (1 if asked.rows else SPARE_ROWS)][:20],
            "columns": {column: COLUMN_WORDS[column] for column in columns},
            "operators": OPERATOR_WORDS,
            "address": request.rel_url,
            "sortable": principal.role is Role.CUSTOMER,
            "sort_link": _sort_link(request.rel_url, found),
            "aria_sort": _aria_sort(found),
            "next_page": _with(request.rel_url, after=found.page.next) if found and found.page.next else None,
            "first_page": _with(request.rel_url, after=None) if asked.after else None,
            "csv": URL("/transactions.csv").with_query(request.rel_url.without_query_params("after").query),
            "json": URL("/transactions.json").with_query(request.rel_url.without_query_params("after").query),
            "staff": principal.role is Role.STAFF,
        }
        return render(request, "calls.html", context)

    async def _csv(self, request: web.Request) -> web.StreamResponse:
        def lines(rows: list[dict[str, Any]], first: bool) -> bytes:
            text = io.StringIO()
            writer = csv.writer(text)
            if first:
                writer.writerow(CSV_COLUMNS)
            writer.writerows([[cell(row[column]) for column in CSV_COLUMNS] for row in rows])
            return text.getvalue().encode()

        return await self._download(request, "calls.csv", "text/csv", lines)

    async def _json(self, request: web.Request) -> web.StreamResponse:
        def lines(rows: list[dict[str, Any]], _first: bool) -> bytes:
            return b"".join(_encode(row) + b"\n" for row in rows)

        return await self._download(request, "calls.ndjson", "application/x-ndjson", lines)

    async def _download(self, request: web.Request, name: str, kind: str, lines: Any) -> web.StreamResponse:
        chunks = everything(self._site, reach_of(self._site, principal_of(request)), _checked(request))
        try:
            first = await anext(chunks)
        except SearchError as error:
            raise Refused(422, str(error)) from None
        answer = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
        answer.content_type, answer.charset = kind, "utf-8"
        await answer.prepare(request)
        await answer.write(lines(first, True))
        async for rows in chunks:
            await answer.write(lines(rows, False))
        await answer.write_eof()
        return answer

    async def _call(self, request: web.Request) -> web.StreamResponse:
        principal, number = principal_of(request), int(request.match_info["transaction"])
        explained = await explained_for(self._site, principal, number)
        context = {
            "call": explained.transaction,
            "explanation": explained.explanation,
            "correction": explained.correction,
            "origins": await self._site.recycler.origins(number) if principal.role is Role.STAFF else [],
        }
        return render(request, "call.html", context)


async def explained_for(site: Site, principal: Principal, number: int) -> Explained:
    """A transaction that somebody may see, explained. Raises NotFound."""
    found = await site.readers.read(_find, number)
    if found is None or (principal.account is not None and found[1]["account"] != principal.account):
        raise NotFound
    row, transaction = found
    tariff = tariff_of(row)
    rater = None if tariff is None else await _rater(site, tariff)
    try:
        explained = explain(row, transaction, rater, await site.readers.read(reductions_of, number))
    except NoLongerRated as fault:
        raise Refused(500, str(fault)) from None
    correction = await site.readers.read(links_of, number, reverses(row))
    if correction is not None:
        explained.correction = correction if principal.role is Role.STAFF else correction.for_customer()
    return explained


async def _rater(site: Site, number: int) -> Rater:
    """The rater of a tariff's version: of those in force the directory has it, an older one is made."""
    version = site.directory.tariffs.numbered(number)
    return version.rater if version else await site.readers.read(stored_rater, number)


def _find(cx: sqlite3.Connection, number: int) -> tuple[list[Any], dict[str, Any]] | None:
    row = find_by_id(cx, number)
    return None if row is None else (row, exporter(cx)(tuple(row)))


def _checked(request: web.Request) -> Asked:
    try:
        return read_query(request.query)
    except SearchError as error:
        raise Refused(422, str(error)) from None


def cell(value: object) -> object:
    """A cell that a spreadsheet does not take for a formula; a number with its + is one to it, and harmless."""
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, str) and value[:1] in _FORMULA and not value[1:].replace(".", "", 1).isdigit():
        return "'" + value
    return value


def _error_words(error: SearchError | None) -> str:
    """What is wrong with the form, in the form's own words."""
    if error is None or error.row is None:
        return str(error or "")
    if error.field == "op":
        return f"Row {error.row + 1}: this operator does not go with that column; choose another"
    return f"Row {error.row + 1}: {error.what}; {error.remedy}"


def _sort_link(address: URL, found: Found | None) -> dict[str, URL]:
    """Where each heading leads: sorted by it, the greatest first; a second time the other way."""
    links = {}
    for column in SORTED_BY:
        now = found is not None and found.sort.column == column
        descending = not (now and found is not None and found.sort.descending) if now else KINDS[column] in ORDERED
        links[column] = _with(address, sort=f"-{column}" if descending else column, after=None)
    return links


def _aria_sort(found: Found | None) -> dict[str, str]:
    if found is None:
        return {}
    return {found.sort.column: "descending" if found.sort.descending else "ascending"}


def _with(address: URL, **changed: str | None) -> URL:
    """The address with some parameters set, or taken out."""
    bare = address.without_query_params(*changed)
    return bare.update_query({name: value for name, value in changed.items() if value is not None})


assert set(COLUMN_WORDS) == set(KINDS)
assert set(OPERATOR_WORDS) == set(OPERATORS)
