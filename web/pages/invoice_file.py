"""An invoice to keep: as a PDF, for those who may see its page."""

import asyncio

from aiohttp import web

from control.billing import bill_rows
from web.invoice_pdf import invoice_pdf
from web.pages.invoices import INVOICE, SEEN_BY, bill_for, on_paper
from web.routing import Route
from web.site import Site


class InvoiceFile:
    """`/invoices/N.pdf`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._one_at_a_time = asyncio.Lock()
        """A PDF takes a thread and the interpreter for a while: two at once would be in the way of everything else."""

    def routes(self) -> tuple[Route, ...]:
        """What this page serves."""
        return (Route("GET", f"{INVOICE}.pdf", self._pdf, SEEN_BY, "An invoice as a PDF", owned="invoice"),)

    async def _pdf(self, request: web.Request) -> web.StreamResponse:
        bill = await bill_for(self._site, request)
        if bill is None:
            return on_paper(request)
        document = await self._site.readers.read(bill_rows.document, bill.number)
        async with self._one_at_a_time:
            pdf = await asyncio.to_thread(invoice_pdf, bill, document)
        name = f'attachment; filename="invoice-{bill.number}.pdf"'
        return web.Response(body=pdf, content_type="application/pdf", headers={"Content-Disposition": name})
