"""All parts of the API that the control plane serves."""

from web.api.accounts import AccountsAPI
from web.api.description import Description
from web.api.idempotency import KeptAnswers
from web.api.operations import OperationsAPI
from web.api.suspense import SuspenseAPI
from web.api.transactions import TransactionsAPI
from web.site import Site

Part = TransactionsAPI | AccountsAPI | SuspenseAPI | OperationsAPI | Description


def api_parts(site: Site) -> tuple[Part, ...]:
    """Each with the routes that it serves."""
    kept = KeptAnswers()
    return (
        TransactionsAPI(site),
        AccountsAPI(site),
        SuspenseAPI(site, kept),
        OperationsAPI(site),
        Description(site),
    )
