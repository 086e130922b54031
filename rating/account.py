"""Accounts and their lines, as provisioned."""

from typing import Any, Final

import msgspec

COLUMNS: Final = (
    "account", "name", "email", "currency", "timezone", "credit_limit_micros", "tariff", "agent", "cycle_day", "fax",
    "pager", "phone", "language", "segment",
)  # fmt: skip
"""What is known of an account, in the order in which `Account.of` takes it."""


class Contact(msgspec.Struct, frozen=True, gc=False):
    """Where an account is reached."""

    email: str | None
    fax: str | None
    pager: str | None
    phone: str | None


_NOWHERE: Final = Contact(None, None, None, None)


def contact_of(email: str | None, fax: str | None, pager: str | None, phone: str | None) -> Contact:
    """Of the many that have none it is one."""
    return _NOWHERE if email is fax is pager is phone is None else Contact(email, fax, pager, phone)


class AccountTerms(msgspec.Struct, frozen=True, gc=False):
    """What an account has in common with many others."""

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
    language: str | None
    segment: str | None


class Account(msgspec.Struct, frozen=True, gc=False):
    """The consolidated customer account: who pays. Attributes as in accounts.csv.

    A million of them are held in memory: what is equal in many is there once, if whoever makes them takes care of it.
    """

    account: str
    name: str
    terms: AccountTerms
    contact: Contact = _NOWHERE

    @classmethod
    def of(
        cls,
        account: str,
        name: str,
        email: str | None,
        currency: str,
        timezone: str,
        credit_limit_micros: int | None,
        tariff: str | None,
        agent: str | None,
        cycle_day: int,
        fax: str | None = None,
        pager: str | None = None,
        phone: str | None = None,
        language: str | None = None,
        segment: str | None = None,
    ) -> "Account":
        """An account of its `COLUMNS`."""
        terms = AccountTerms(currency, timezone, credit_limit_micros, tariff, agent, cycle_day, language, segment)
        return cls(account, name, terms, contact_of(email, fax, pager, phone))

    def with_terms(self, **changed: Any) -> "Account":
        """The same with other terms."""
        return Account(self.account, self.name, msgspec.structs.replace(self.terms, **changed), self.contact)

    @property
    def email(self) -> str | None:
        """Where mail to it goes; None: nowhere."""
        return self.contact.email

    @property
    def fax(self) -> str | None:
        """A number."""
        return self.contact.fax

    @property
    def pager(self) -> str | None:
        """A number."""
        return self.contact.pager

    @property
    def phone(self) -> str | None:
        """A number."""
        return self.contact.phone

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return self.terms.currency

    @property
    def timezone(self) -> str:
        """IANA zone."""
        return self.terms.timezone

    @property
    def credit_limit_micros(self) -> int | None:
        """None is no limit."""
        return self.terms.credit_limit_micros

    @property
    def tariff(self) -> str | None:
        """None: that of its lines, or the default."""
        return self.terms.tariff

    @property
    def agent(self) -> str | None:
        """Whose account it is."""
        return self.terms.agent

    @property
    def cycle_day(self) -> int:
        """1 to 31."""
        return self.terms.cycle_day

    @property
    def language(self) -> str | None:
        """Of mail."""
        return self.terms.language

    @property
    def segment(self) -> str | None:
        """As account events name it."""
        return self.terms.segment

    @property
    def clock(self) -> tuple[str, int]:
        """Its zone and cycle day."""
        return self.terms.timezone, self.terms.cycle_day


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
