"""What one unit of a tariff's currency is in others, as the tariff states it."""

import re
from decimal import Decimal
from typing import Any, Final

from rating.refusal import shown
from rating.toml_keys import TomlKeys

MAX_CURRENCIES: Final = 200

_RATE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,12})?", re.ASCII)


def is_currency(text: str) -> bool:
    """Whether a text is three capital letters (ISO 4217)."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def read_conversion(keys: TomlKeys, currency: str) -> tuple[tuple[str, Decimal], ...]:
    """The table `[conversion]` of a tariff in `currency`: other currencies with their rates, exactly as written.

    Raises TariffError.
    """
    table: Any = keys.value("conversion")
    if table is None:
        return ()
    if not isinstance(table, dict) or len(table) > MAX_CURRENCIES:
        raise keys.refusal("conversion", "is not a table of rates", 'write [conversion] and lines as USD = "1.0832"')
    rates = []
    for other, value in table.items():
        key = f"conversion.{other}"
        if not is_currency(other) or other == currency:
            what = "is not another currency" if is_currency(other) else "is not a currency"
            raise keys.refusal(key, what, "name others than the tariff's own by three capital letters, as USD")
        text = str(value) if type(value) in (int, str, Decimal) else ""
        if not _RATE.fullmatch(text) or not (rate := Decimal(text)):
            remedy = f'write what one {currency} is in {other}, as "1.0832", at most 12 places'
            raise keys.refusal(key, f"{shown(value)} is not a rate", remedy)
        rates.append((other, rate))
    return tuple(rates)
