"""The site's rules of payment, as a TOML file says them: checked whole, and kept in versions."""

import tomllib
from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec

from rating.cdr import MICROS
from rating.money import parse_micros
from rating.refusal import shown
from rating.tariff import TariffError
from rating.toml_keys import TomlKeys

MOST_DAYS: Final = 365
DUE_DAYS: Final = 30
"""Days after the invoice date within which is paid, where the rules do not say it."""
MOST_CHARACTERS: Final = 1 << 20


class RulesError(Exception):
    """A file of rules that is refused whole; the message is one line: file, key, what is wrong, the remedy."""


class EarlyPayment(msgspec.Struct, frozen=True):
    """What is granted to who pays early."""

    percent_micros: int
    """Of the current charges, in millionths of a percent."""
    days: int
    """After the invoice date, the last one included."""


class Rules(msgspec.Struct, frozen=True):
    """What holds for the invoices of a time."""

    name: str
    valid_from: date | None = None
    """The first invoice date that they hold for; None: always."""
    early: EarlyPayment | None = None
    due_days: int = DUE_DAYS
    below_micros: int = 0
    """A total due at or below it is not payable."""
    version: int = 0
    """Its number among all that were imported; 0 is what holds where none is in force."""


NO_RULES: Final = Rules("none")
"""What holds where no rules are in force: no discount."""


def parse_rules(text: str, file_name: str) -> Rules:
    """The rules that a file says. RulesError, at the first thing that is wrong."""
    try:
        return _rules(TomlKeys(_table(text, file_name), file_name), file_name)
    except TariffError as error:  # what reading a TOML table raises, whatever it is of
        raise RulesError(str(error)) from None


def _rules(keys: TomlKeys, file_name: str) -> Rules:
    name = keys.required_text("name")
    valid_from = keys.day("valid_from")
    if keys.value("tax") is not None:
        raise keys.refusal("tax", "tax rules are not in this version", "remove the table: charges are billed as rated")
    discount, payment, disallow = (
        _inner(keys, key, file_name) for key in ("early_payment_discount", "payment", "disallow")
    )
    rules = Rules(
        name,
        valid_from,
        _early(discount) if discount else None,
        _due_days(payment) if payment else DUE_DAYS,
        _below(disallow) if disallow else 0,
    )
    keys.end()
    if rules.early is not None and rules.early.days > rules.due_days:
        said = f"{rules.early.days} days are more than the {rules.due_days} within which is paid"
        raise keys.refusal("early_payment_discount.days", said, "make it less, or [payment] due_days more")
    return rules


def _early(keys: TomlKeys) -> EarlyPayment:
    remedy = 'write more than 0 and less than 100 in quotes, as percent = "2"'
    percent = _amount(keys, "percent", remedy)
    if not 0 < percent < 100 * MICROS:
        raise keys.refusal("percent", "is not a discount", remedy)
    days = keys.whole("days", 0, MOST_DAYS)
    if days is None:
        raise keys.refusal("days", "is missing", "add days = 10")
    keys.end()
    return EarlyPayment(percent, days)


def _due_days(keys: TomlKeys) -> int:
    days = keys.whole("due_days", 0, MOST_DAYS)
    keys.end()
    return DUE_DAYS if days is None else days


def _below(keys: TomlKeys) -> int:
    below_micros = _amount(keys, "below", 'write an amount in quotes, as below = "0.50"')
    keys.end()
    return below_micros


def _amount(keys: TomlKeys, key: str, remedy: str) -> int:
    """Micro-units of a decimal in quotes."""
    value = keys.value(key)
    if value is None:
        raise keys.refusal(key, "is missing", remedy)
    if not isinstance(value, str):
        raise keys.refusal(key, f"{shown(value)} is not in quotes", remedy)
    try:
        return parse_micros(value)
    except ValueError:
        raise keys.refusal(key, f"{shown(value)} is not a plain decimal", remedy) from None


def _inner(keys: TomlKeys, key: str, file_name: str) -> TomlKeys | None:
    """A table inside the file."""
    value = keys.value(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise keys.refusal(key, "is not a table", f"write it as [{key}]")
    return TomlKeys(value, f"{file_name}: [{key}]")


def _table(text: str, file_name: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        raise RulesError(f"{file_name}: is longer than {MOST_CHARACTERS} characters; name a file of rules")
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:  # ValueError beyond TOML's own: a number of thousands of digits
        said = " ".join(str(error).splitlines())
        raise RulesError(f"{file_name}: is not TOML ({said}); mend that place") from None
