"""Reading the provisioning files accounts.csv and lines.csv: all rows, or the errors of each."""

import csv
import io
import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import Final, TypeVar
from zoneinfo import available_timezones

import msgspec

from rating.account import Account, Line
from rating.allowances.reading import MAX_FAVOURITES
from rating.calendar import NO_ZONES
from rating.currencies import DECIMALS
from rating.money import parse_micros
from rating.numbering import parse_line

ACCOUNT_COLUMNS: Final = (
    "account", "name", "email", "currency", "timezone", "credit_limit", "tariff", "agent", "cycle_day",
)  # fmt: skip
ACCOUNT_OPTIONAL: Final = ("fax", "pager", "phone", "language", "segment")
LINE_COLUMNS: Final = ("line", "account", "provider", "service", "switch")
LINE_OPTIONAL: Final = ("tariff", "from")
FAVOURITE_COLUMNS: Final = ("account", "number")

ERRORS_KEPT: Final = 1000
"""Errors reported of one file; after so many the rest is not worth reading."""

T = TypeVar("T")

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")
"""RFC 5321, 4.5.3.1: the parts' lengths, and 254 for both."""
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class RowError(msgspec.Struct, frozen=True):
    """What is wrong in one row of a file."""

    row: int
    """Line of the file, from 1 (the header)."""
    column: str
    problem: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.column}: {self.problem}"


class ProvisioningError(Exception):
    """A file that was refused whole."""

    def __init__(self, errors: list[RowError]) -> None:
        super().__init__("; ".join(map(str, errors[:3])))
        self.errors = errors


class _Row:
    """One row being read: gives cells, and gathers what is wrong with them."""

    def __init__(self, number: int, cells: dict[str, str], errors: list[RowError]) -> None:
        self.number, self._cells, self._errors = number, cells, errors

    def wrong(self, column: str, problem: str) -> None:
        if len(self._errors) < ERRORS_KEPT:
            self._errors.append(RowError(self.number, column, problem))

    def optional(self, column: str) -> str | None:
        return self._cells.get(column, "").strip() or None

    def required(self, column: str) -> str:
        text = self.optional(column)
        if text is None:
            self.wrong(column, "is empty: give a value")
        return text or ""

    def parsed(self, column: str, parse: Callable[[str], T], default: T) -> T:
        text = self.optional(column)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.wrong(column, str(error))
            return default


def read_accounts(text: str, currencies: Callable[[str], str | None] = lambda _: None) -> list[Account]:
    """The accounts of an accounts.csv; `currencies` says in which currency an account is charged already. Raises
    ProvisioningError."""
    errors: list[RowError] = []
    accounts: dict[str, Account] = {}
    zones = available_timezones() - NO_ZONES
    for row in _rows(text, ACCOUNT_COLUMNS, ACCOUNT_OPTIONAL, errors):
        account = Account.of(
            account=row.required("account"),
            name=row.required("name"),
            email=row.parsed("email", _email, None),
            currency=row.parsed("currency", _currency, "") or row.required("currency"),
            timezone=row.parsed("timezone", lambda zone: _zone(zone, zones), "") or row.required("timezone"),
            credit_limit_micros=row.parsed("credit_limit", parse_micros, None),
            tariff=row.optional("tariff"),
            agent=row.optional("agent"),
            cycle_day=row.parsed("cycle_day", _cycle_day, 1),
            **{column: row.optional(column) for column in ACCOUNT_OPTIONAL},
        )
        if account.account and account.account in accounts:
            row.wrong("account", f"{account.account} stands twice in the file: keep one row")
        _check_limit(row, account)
        charged_in = currencies(account.account)
        if account.currency and charged_in not in (None, account.currency):
            row.wrong("currency", f"account {account.account} is charged in {charged_in}: open another one")
        accounts[account.account] = account
    return list(_or_refuse(accounts.values(), errors))


def read_lines(text: str, accounts: Callable[[str], bool]) -> list[Line]:
    """The lines of a lines.csv; `accounts` says whether an account exists. Raises ProvisioningError."""
    errors: list[RowError] = []
    lines: dict[tuple[str, str, str], Line] = {}
    for row in _rows(text, LINE_COLUMNS, LINE_OPTIONAL, errors):
        line = Line(
            line=row.parsed("line", parse_line, "") or row.required("line"),
            service=row.required("service"),
            from_on=row.parsed("from", _date, ""),
            account=row.required("account"),
            provider=row.required("provider"),
            switch=row.optional("switch"),
            tariff=row.optional("tariff"),
        )
        if line.account and not accounts(line.account):
            row.wrong("account", f"there is no account {line.account}: import accounts first")
        key = (line.line, line.service, line.from_on)
        if key in lines:
            row.wrong("line", f"{line.line} with this service and date stands twice in the file: keep one row")
        lines[key] = line
    return list(_or_refuse(lines.values(), errors))


def read_favourites(text: str, accounts: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
    """The favourite numbers of each account that a favourites.csv names, in its order; none for one whose number is
    empty. `accounts` says whether an account exists. Raises ProvisioningError."""
    errors: list[RowError] = []
    favourites: dict[str, list[str]] = {}
    for row in _rows(text, FAVOURITE_COLUMNS, (), errors):
        account = row.required("account")
        if account and not accounts(account):
            row.wrong("account", f"there is no account {account}: import accounts first")
        numbers = favourites.setdefault(account, [])
        number = row.parsed("number", parse_line, "")
        if number in numbers:
            row.wrong("number", f"{number} stands twice for account {account}: keep one row")
        elif number:
            numbers.append(number)
            if len(numbers) == MAX_FAVOURITES + 1:
                row.wrong("number", f"account {account} has more than {MAX_FAVOURITES} of them: leave some out")
    return {account: tuple(_or_refuse(numbers, errors)) for account, numbers in favourites.items()}


def _rows(text: str, needed: tuple[str, ...], optional: tuple[str, ...], errors: list[RowError]) -> Iterable[_Row]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        for column in [*needed, *header]:
            if header.count(column) != 1 or column not in (*needed, *optional):
                what = "is not a column of this file" if column not in (*needed, *optional) else (
                    "is missing" if column not in header else "stands twice"
                )  # fmt: skip
                errors.append(RowError(1, column, f"{what}: the header is {','.join(needed)}"
                                                  f" (optional {','.join(optional)})"))  # fmt: skip
                return
        for cells in reader:
            if len(errors) >= ERRORS_KEPT:
                return
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problem = f"has {len(cells)} cells, the header {len(header)}: mind commas and quotes"
                errors.append(RowError(reader.line_num, "row", problem))
                continue
            yield _Row(reader.line_num, dict(zip(header, cells, strict=True)), errors)
    except csv.Error as error:
        errors.append(RowError(reader.line_num, "row", f"is not CSV ({error}): quote cells that hold quotes or commas"))


def _or_refuse(items: Iterable[T], errors: list[RowError]) -> Iterable[T]:
    if errors:
        raise ProvisioningError(errors)
    return items


def _currency(text: str) -> str:
    if text not in DECIMALS:
        raise ValueError(f"{text!r} is not a currency: write three capital letters (ISO 4217) such as USD")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError(f"{text!r} is not an e-mail address: write name@domain, or leave it empty")
    return text


def _check_limit(row: _Row, account: Account) -> None:
    """A limit can be owed to the unit: what is below the currency's smallest one is a slip."""
    decimals, limit = DECIMALS.get(account.currency), account.credit_limit_micros
    if decimals is not None and limit is not None and limit % 10 ** (6 - decimals):
        places = "no decimals" if decimals == 0 else f"{decimals} decimals"
        row.wrong("credit_limit", f"{row.optional('credit_limit')} is not payable, {account.currency} has {places}")


def _zone(text: str, zones: set[str]) -> str:
    if text not in zones:
        raise ValueError(f"{text!r} is not a time zone: write an IANA name such as America/New_York")
    return text


def _cycle_day(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= 31):
        raise ValueError(f"{text!r} is not a day of the month: write 1 to 31")
    return int(text)


def _date(text: str) -> str:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write YYYY-MM-DD") from None
