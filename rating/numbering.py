"""Numbers as they are keyed in the store: E.164 digits without `+`, or the text of an address."""

from typing import Final

ADDRESS_SCHEMES: Final = ("sip:", "ip:", "card:")
MIN_DIGITS: Final = 3
MAX_DIGITS: Final = 15
"""ITU-T E.164, 6.1."""
MAX_ADDRESS: Final = 255


def to_e164(text: str) -> str | None:
    """The key of a number: its 3 to 15 digits, the first not 0; or an address as it stands. None if it is neither."""
    digits = text[1:] if text[:1] == "+" else text
    if digits.isdecimal() and digits.isascii():
        return digits if MIN_DIGITS <= len(digits) <= MAX_DIGITS and digits[0] != "0" else None
    if text.startswith(ADDRESS_SCHEMES) and len(text) <= MAX_ADDRESS and not any(c.isspace() for c in text):
        return text if text.partition(":")[2] else None
    return None


def parse_line(text: str) -> str:
    """As `to_e164`, for a person: raises ValueError with words."""
    number = to_e164(text)
    if number is None:
        raise ValueError(
            f"{text!r} is not a line: write E.164 such as +12125550142, or sip:user@host, ip:address, card:NUMBER"
        )
    return number


def display(number: str) -> str:
    """As people read it: E.164 with its `+`, an address as it stands."""
    return "+" + number if number[:1].isdigit() else number
