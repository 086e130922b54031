"""What people and programs may be."""

from enum import StrEnum


class Role(StrEnum):
    """What a user or an API token is, and with it what it may do."""

    STAFF = "staff"
    """The service provider's own people."""
    CUSTOMER = "customer"
    """One account's; the only role that has an account."""
    AGENT = "agent"
    """A sales representative; the name is what accounts.csv calls `agent`."""
    AUDITOR = "auditor"
    """Reads, and changes nothing."""
    OPERATOR = "operator"
    """Network operations."""
