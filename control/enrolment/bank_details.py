"""A customer's bank account: read, checked by its check digits, and cut down to what is kept. Pure."""

import re
from enum import StrEnum
from typing import Final

import msgspec

LONGEST_HOLDER: Final = 70
"""Characters of a name in a SEPA direct debit (ISO 20022, pain.008, Nm)."""
ROUTING_WEIGHTS: Final = (3, 7, 1) * 3
ENDING: Final = 4
"""Characters of the number that are kept."""

_ROUTING: Final = re.compile(r"[0-9]{9}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{4,17}", re.ASCII)
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_NO_CHECK_DIGITS: Final = frozenset({"00", "01", "99"})
"""They would be as good as 97, 98 and 02, which are the ones that banks give (ISO 13616-1, annex)."""
_LENGTHS: Final = {
    "AD": 24, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24,
    "FI": 18, "FR": 27, "GB": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21,
    "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "VA": 22,
}  # fmt: skip
"""Of IBANs by country (SWIFT's IBAN registry); those of other countries are known by their check digits alone."""


class Scheme(StrEnum):
    """How money is collected from a bank account."""

    ACH = "ach"
    """In the United States: routing number and account number."""
    SEPA = "sepa"
    """Elsewhere: IBAN."""


class BankDetails(msgspec.Struct, frozen=True):
    """A bank account, as far as it is kept: nobody collects by what is here."""

    scheme: Scheme
    holder: str
    bank: str
    """The routing number, or the country of the IBAN."""
    ending: str
    """The last characters of the number or IBAN."""

    @property
    def masked(self) -> str:
        """The number or IBAN as it is shown."""
        return f"{self.bank if self.scheme is Scheme.SEPA else ''}•••• {self.ending}"


class BankDetailsRefused(Exception):
    """What was typed is no bank account: in which field, and why."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field
        """holder, routing, number or iban."""


def scheme_of(currency: str) -> Scheme:
    """How accounts of a currency are collected from."""
    return Scheme.ACH if currency == "USD" else Scheme.SEPA


def read_bank_details(
    scheme: Scheme, *, holder: str, routing: str = "", number: str = "", iban: str = ""
) -> BankDetails:
    """What is kept of a bank account that somebody typed. Raises BankDetailsRefused."""
    holder = " ".join(holder.split())
    if not (0 < len(holder) <= LONGEST_HOLDER and holder.isprintable()):
        raise BankDetailsRefused(
            "holder", f"whose bank account is it? Write a name of 1 to {LONGEST_HOLDER} characters"
        )
    if scheme is Scheme.SEPA:
        iban = _checked_iban("".join(iban.split()).upper())
        return BankDetails(scheme, holder, iban[:2], iban[-ENDING:])
    routing, number = "".join(routing.split()), number.replace(" ", "").replace("-", "")
    _check_routing(routing)
    if not _NUMBER.fullmatch(number):
        raise BankDetailsRefused("number", "an account number has 4 to 17 digits: copy it from a cheque")
    return BankDetails(scheme, holder, routing, number[-ENDING:])


def _check_routing(text: str) -> None:
    """ABA routing number: nine digits, their sum by the weights 3, 7, 1 a multiple of ten."""
    if not _ROUTING.fullmatch(text) or not text.strip("0"):
        raise BankDetailsRefused("routing", "a routing number has nine digits: it is at the lower left of a cheque")
    if sum(int(digit) * weight for digit, weight in zip(text, ROUTING_WEIGHTS, strict=True)) % 10:
        raise BankDetailsRefused("routing", "this is no routing number: its check digit is wrong, mind the digits")


def _checked_iban(text: str) -> str:
    """ISO 13616: the country's length, and as a number with the first four characters last, 1 modulo 97."""
    if not _IBAN.fullmatch(text):
        raise BankDetailsRefused("iban", "an IBAN begins with two letters and two digits: DE89 3704 0044 0532 0130 00")
    wanted = _LENGTHS.get(text[:2], len(text))
    if len(text) != wanted:
        raise BankDetailsRefused("iban", f"an IBAN of {text[:2]} has {wanted} characters, this has {len(text)}")
    digits = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    if int(digits) % 97 != 1 or text[2:4] in _NO_CHECK_DIGITS:
        raise BankDetailsRefused("iban", "this is no IBAN: its check digits are wrong, mind the characters")
    return text
