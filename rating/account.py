"""Accounts and their lines, as provisioned."""

import msgspec


class Account(msgspec.Struct, frozen=True, gc=False):
    """The consolidated customer account: who pays. Fields as in accounts.csv."""

    account: str
    name: str
    email: str | None
    currency: str
    """ISO 4217."""
    timezone: str
    """IANA zone; periods of its counters and bills are local to it."""
    credit_limit_micros: int | None
    """None is no limit."""
    tariff: str | None
    agent: str | None
    cycle_day: int
    """Day of the month on which its bill cycle begins, 1 to 31; the last day of a shorter month."""
    fax: str | None = None
    pager: str | None = None
    phone: str | None = None
    language: str | None = None
    segment: str | None = None


class Line(msgspec.Struct, frozen=True, gc=False):
    """A service of a provisioned number, and the account that has it from a date on. Fields as in lines.csv."""

    line: str
    """E.164 digits, or sip:user@host, ip:address, card:NUMBER."""
    service: str
    from_on: str
    """ISO date in the account's zone from which the account has it; empty is always."""
    account: str
    provider: str
    switch: str | None = None
    tariff: str | None = None
