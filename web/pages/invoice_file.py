"""An invoice to keep: as a PDF, and its calls as CSV, for those who may see its page."""

import asyncio
import csv
import io
import sqlite3
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from control.billing import bill_rows
from control.billing.bill import Bill, Call, Document
from control.currency import shown
from control.payments.open_invoices import offered
from control.payments.payment import Accepted
from rating.cdr import MICROS
from web.pages.calls import cell
from web.pages.invoices import INVOICE, SEEN_BY, bill_for, on_paper
from web.routing import Route
from web.site import Site

MOST_PRINTED: Final = 10_000
"""Calls of a PDF. That of a longer invoice says what it comes to, and where the calls are."""
CSV_COLUMNS: Final = (
    "answer", "provider", "line", "calling", "called", "place_called", "destination", "type", "service", "duration",
    "billed_s", "units", "charge", "currency", "transaction", "reverses",
)  # fmt: skip
_ROWS: Final = 5_000
"""Of a CSV, read and written at a time: whoever fetches it slowly holds no more."""


class InvoiceFile:
    """`/invoices/N.pdf`, `/invoices/N.csv`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._one_at_a_time = asyncio.Lock()
        """A PDF takes a thread and the interpreter for a while: two at once would be in the way of everything else."""

    def routes(self) -> tuple[Route, ...]:
        """What this page serves."""
        return (
            Route("GET", f"{INVOICE}.pdf", self._pdf, SEEN_BY, "An invoice as a PDF", owned="invoice"),
            Route("GET", f"{INVOICE}.csv", self._csv, SEEN_BY, "The calls of an invoice, as CSV", owned="invoice"),
        )

    async def _pdf(self, request: web.Request) -> web.StreamResponse:
        bill = await bill_for(self._site, request)
        if bill is None:
            return on_paper(request)
        async with self._one_at_a_time:  # read in here: who waits holds nothing
            document, paying_all = await self._site.readers.read(_printed, bill)
            pdf = await asyncio.to_thread(_as_pdf, bill, document, paying_all)
        name = f'attachment; filename="invoice-{bill.number}.pdf"'
        return web.Response(body=pdf, content_type="application/pdf", headers={"Content-Disposition": name})

    async def _csv(self, request: web.Request) -> web.StreamResponse:
        bill = await bill_for(self._site, request)
        if bill is None:
            return on_paper(request)
        name = f'attachment; filename="invoice-{bill.number}.csv"'
        answer = web.StreamResponse(headers={"Content-Disposition": name})
        answer.content_type, answer.charset = "text/csv", "utf-8"
        await answer.prepare(request)
        await answer.write(_lines([CSV_COLUMNS]))
        for first in range(1, bill.calls + 1, _ROWS):
            part = await self._site.readers.read(bill_rows.part, bill.number, first, _ROWS)
            await answer.write(await asyncio.to_thread(_lines_of, part.document, bill.currency))
        await answer.write_eof()
        return answer


def _printed(cx: sqlite3.Connection, bill: Bill) -> tuple[Document, Accepted | None]:
    """What of a document is printed, and what its invoice offered. One read."""
    part = bill_rows.part(cx, bill.number, 1, bill.calls if bill.calls <= MOST_PRINTED else 0)
    return part.document, offered(cx, bill)


def _lines_of(document: Document, currency: str) -> bytes:
    return _lines(
        [
            _cells(section.provider, line.line, call, currency)
            for section in document.sections
            for line in section.lines
            for call in line.calls
        ]
    )


def _cells(provider: str, line: str, call: Call, currency: str) -> list[object]:
    us = call.duration_us
    values = (
        call.local.isoformat(), provider, line, call.calling or line, call.called, call.place, call.destination,
        call.type, call.service, us / MICROS if us % MICROS else us // MICROS, call.billed_s, call.units,
        shown(call.charge_micros, currency), currency, call.transaction, call.reverses,
    )  # fmt: skip
    return [cell(value) for value in values]


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _as_pdf(bill: Bill, document: Document, offered: Accepted | None) -> bytes:
    """In a thread."""
    # Not before somebody prints: it takes ten megabytes, and a third of a second of every start.
    from web.invoice_pdf import invoice_pdf

    return invoice_pdf(bill, document, offered)
