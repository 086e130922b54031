"""What is provisioned, as the store tells it."""

from collections.abc import Iterable

import msgspec

from rating.account import Account
from rating.line_services import LineService
from rating.tariff import TariffText


class Provisioned(msgspec.Struct):
    """Everything the directory is made of."""

    accounts: list[Account]
    lines: Iterable[LineService]
    """There may be millions: of whoever only guides they are read while one goes through them, once."""
    tariffs: list[tuple[int, TariffText]]
    conversions: dict[int, dict[str, int]] = {}
    """Of tariffs, by number, the numbers that they have where their charges are in another currency that an account
    has."""
    favourites: dict[str, tuple[str, ...]] = {}
    """Numbers that accounts call for less."""
    numbers: int | None = None
    """How many numbers have lines, where `lines` was not asked for."""
