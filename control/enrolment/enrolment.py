"""An account's enrolment in e-billing, its changes, and what became of the mail to the agent about each."""

from enum import StrEnum

import msgspec


class Method(StrEnum):
    """How an enrolled account pays its invoices."""

    WEB = "web"
    """Each on the pages, by a person."""
    AUTOMATIC = "automatic"
    """Collected from the bank account that it named, when due."""


class Enrolment(msgspec.Struct, frozen=True):
    """Whether an account takes e-billing, and since when it does or does not."""

    account: str
    enrolled: bool
    payment_method: Method
    """Of one that is not enrolled any more, the last."""
    at: int
    """When this became so, µs UTC."""
    actor: str


class Notice(StrEnum):
    """What became of the mail to the account's agent."""

    MAILED = "mailed"
    """It is in the outbox of alerts."""
    OFF = "off"
    """The agent has switched it off."""
    NO_ADDRESS = "no-address"
    """The agent's user has no e-mail address."""
    NO_USER = "no-user"
    """There is no agent of that name who may sign in."""
    NO_AGENT = "no-agent"
    """The account has none."""


class Change(msgspec.Struct, frozen=True):
    """One enrolment or cancellation."""

    id: int
    account: str
    enrolled: bool
    at: int
    actor: str
    agent: str | None
    """Whose account it was then."""
    notice: Notice
    alert: int | None
    """The mail, in the outbox of alerts."""


class Switches(msgspec.Struct, frozen=True):
    """Which mails an agent gets."""

    on_enrolment: bool = True
    on_cancellation: bool = True


class EnrolmentRefused(Exception):
    """A change that cannot be made; its message says what to do."""
