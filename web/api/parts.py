"""All parts of the API that the control plane serves."""

from web.api.account_events import AccountEventsAPI
from web.api.accounts import AccountsAPI
from web.api.description import Description
from web.api.enrolment import EnrolmentAPI
from web.api.entries import EntriesAPI
from web.api.firings import FiringsAPI
from web.api.idempotency import KeptAnswers
from web.api.invoices import InvoicesAPI
from web.api.operations import OperationsAPI
from web.api.payments import PaymentsAPI
from web.api.suspense import SuspenseAPI
from web.api.transactions import TransactionsAPI
from web.site import Site

Part = (
    TransactionsAPI
    | AccountsAPI
    | SuspenseAPI
    | AccountEventsAPI
    | FiringsAPI
    | PaymentsAPI
    | EntriesAPI
    | InvoicesAPI
    | EnrolmentAPI
    | OperationsAPI
    | Description
)


def api_parts(site: Site) -> tuple[Part, ...]:
    """Each with the routes that it serves."""
    kept = KeptAnswers()
    return (
        TransactionsAPI(site),
        AccountsAPI(site),
        SuspenseAPI(site, kept),
        AccountEventsAPI(site, kept),
        FiringsAPI(site, kept),
        PaymentsAPI(site, kept),
        EntriesAPI(site, kept),
        InvoicesAPI(site),
        EnrolmentAPI(site, kept),
        OperationsAPI(site),
        Description(site),
    )
