"""What the pages can see of the daemon: one record of the parts, handed over when it starts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from control.control_room import ControlRoom
from control.enrolment import Enrolments
from control.ledger.exposure import Exposure
from control.payments.service import Payments
from control.users import Users
from mediation.feeds.status import FeedStatus
from mediation.pipeline.front import Front
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.recycling import Recycler
from rating.directory import Directory
from rating.store.readers import Readers


@dataclass(frozen=True, slots=True)
class Site:
    """The parts that pages and API are made of."""

    readers: Readers
    users: Users
    owner: StoreOwner
    front: Front
    """Its directory is what is provisioned, as of now."""
    recycler: Recycler
    room: ControlRoom
    """Account events, bars, payments."""
    exposure: Exposure
    """What an account owes."""
    feeds: Callable[[], Awaitable[list[FeedStatus]]]
    """How each feed stands."""
    clock: Callable[[], int]
    """µs since 1970 UTC, now."""
    secure_cookies: bool
    version: str
    enrolments: Enrolments
    """Which accounts take e-billing."""
    payments: Payments
    """What customers pay of their invoices."""

    @property
    def directory(self) -> Directory:
        """Accounts, lines and tariffs as of now."""
        return self.front.directory
