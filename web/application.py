"""The control plane's application, put together: gate, pages, API, static files."""

from typing import Final

from aiohttp import web

from web.api.parts import api_parts
from web.gate import gate
from web.headers import protect
from web.live import LiveParts
from web.pages.access import AccessPages
from web.pages.accounts import AccountsPages
from web.pages.agent import AgentPages
from web.pages.audit import AuditPages
from web.pages.calls import CallsPages
from web.pages.enrolment import EnrolmentPages
from web.pages.entries import EntriesPages
from web.pages.feeds import FeedsPages
from web.pages.firings import FiringsPages
from web.pages.invoice_file import InvoiceFile
from web.pages.invoice_search import InvoiceSearch
from web.pages.invoices import InvoicePages
from web.pages.monitor import MonitorPages
from web.pages.options import OptionsPages
from web.pages.orders import OrdersPages
from web.pages.overview import OverviewPages
from web.pages.own_alerts import OwnAlertPages
from web.pages.paying import PayingPages
from web.pages.sign_in import SignInPages
from web.pages.statements import StatementPages
from web.pages.suspense import SuspensePages
from web.refusals import as_pages_or_problems
from web.rendering import set_up
from web.request import SITE
from web.routing import ANYBODY, DECLARED, Route, add_routes
from web.site import Site
from web.static_files import StaticFiles

MAX_BODY_BYTES: Final = 4 << 20


class ControlPlane:
    """`application` is what the listener of [web] serves."""

    def __init__(self, site: Site) -> None:
        self._live = LiveParts()
        static = StaticFiles()
        self.application = web.Application(middlewares=[as_pages_or_problems, gate], client_max_size=MAX_BODY_BYTES)
        self.application[SITE] = site
        self.application[DECLARED] = {}
        self.application.on_response_prepare.append(protect)
        set_up(self.application, static)
        add_routes(
            self.application,
            (Route("GET", "/static/{name:.+}", static.serve, ANYBODY, "A style sheet, script or picture"),),
        )
        for part in (
            SignInPages(site),
            OverviewPages(site, self._live),
            CallsPages(site),
            AccountsPages(site, self._live),
            FeedsPages(site, self._live),
            SuspensePages(site),
            MonitorPages(site),
            FiringsPages(site),
            OrdersPages(site, self._live),
            AccessPages(site),
            EntriesPages(site),
            AuditPages(site),
            OptionsPages(site),
            OwnAlertPages(site),
            EnrolmentPages(site),
            StatementPages(site),
            InvoiceSearch(site),
            InvoicePages(site),
            InvoiceFile(site),
            PayingPages(site),
            AgentPages(site),
            *api_parts(site),
        ):
            add_routes(self.application, part.routes())

    def close_streams(self) -> None:
        """End what is open for as long as a page is: the daemon stops."""
        self._live.close()
