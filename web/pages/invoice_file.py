"""An invoice to keep: as a PDF, for those who may see it."""

import asyncio
from typing import Final

from aiohttp import web

from control.billing import bill_rows
from control.users import Role
from web.invoice_access import visible_bill
from web.invoice_pdf import invoice_pdf
from web.request import principal_of
from web.routing import Route
from web.site import Site

_FILE: Final = "/invoices/{invoice:[0-9]{1,18}}.pdf"
_SEEN_BY: Final = frozenset({Role.STAFF, Role.CUSTOMER, Role.AGENT})


class InvoiceFile:
    """`/invoices/N.pdf`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._one_at_a_time = asyncio.Lock()
        """A PDF takes a thread and the interpreter for a while: two at once would be in the way of everything else."""

    def routes(self) -> tuple[Route, ...]:
        """What this page serves."""
        return (Route("GET", _FILE, self._pdf, _SEEN_BY, "An invoice as a PDF", owned="invoice"),)

    async def _pdf(self, request: web.Request) -> web.StreamResponse:
        bill = await visible_bill(self._site, principal_of(request), int(request.match_info["invoice"]))
        document = await self._site.readers.read(bill_rows.document, bill.number)
        async with self._one_at_a_time:
            pdf = await asyncio.to_thread(invoice_pdf, bill, document)
        name = f'attachment; filename="invoice-{bill.number}.pdf"'
        return web.Response(body=pdf, content_type="application/pdf", headers={"Content-Disposition": name})
