"""The explained charge: what it is made of, run by run, exactly; and its JSON form."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from rating.money import format_micros

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Run:
    """Increments of one length, charged one after the other by one row of the deck."""

    from_at: int
    """First instant of the first of them, microseconds since 1970 UTC; for messages and data that of the answer."""
    period: str
    """The row's period as the deck has it, "any" for an empty cell."""
    seconds: int
    """Sum of the increments, in seconds (units for messages and data); ≥ 1."""
    rate: Decimal
    """Price of `per_s` seconds, in units of the currency."""
    per_s: int
    amount: Fraction
    """seconds × rate ÷ per_s, exactly."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """From the currency of a deck to that of a charge."""

    deck_currency: str
    currency: str
    rate: Decimal
    """What one unit of the deck's currency is."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call cost what it cost: `connect_fee` + Σ `amount` is the charge before its limits and its rounding, and
    before its conversion where there is one."""

    charge_micros: int
    """The charge, in millionths of the currency's unit, ≥ 0."""
    currency: str
    decimals: int
    """Decimal places that the charge was rounded to, 0 to 6."""
    timezone: str
    """The tariff's zone, in which instants are shown."""
    destination: str | None
    place_called: str | None
    billed_s: int
    """Sum of all increments, in seconds or units."""
    connect_fee: Decimal
    capped: bool
    """True when the first increment's `max_charge` made the charge less."""
    runs: tuple[Run, ...]
    """In the order of the call; none for a call that was not answered."""
    exact: Fraction = Fraction(0)
    """The charge before its rounding."""
    conversion: Conversion | None = None
    """Where the charge is in another currency than the deck: connect fee and runs are in that of the deck."""


def as_json(id: str | None, explanation: Explanation) -> dict[str, object]:  # noqa: A002  (the contract's word)
    """The object that `tollkeeper rate` prints for a CDR with this id; `id` None where it could not be read."""
    zone = ZoneInfo(explanation.timezone)
    return {
        "id": id,
        "charge": format_micros(explanation.charge_micros, explanation.decimals),
        "currency": explanation.currency,
        "destination": explanation.destination,
        "place_called": explanation.place_called,
        "billed_s": explanation.billed_s,
        "connect_fee": f"{explanation.connect_fee:f}",
        "capped": explanation.capped,
        "explain": [
            {
                "from": _instant_text(run.from_at, zone),
                "period": run.period,
                "seconds": run.seconds,
                "rate": f"{run.rate:f}",
                "per_s": run.per_s,
                "amount": exact_text(run.amount),
            }
            for run in explanation.runs
        ],
        **_conversion_json(explanation.conversion),
    }


def _conversion_json(conversion: Conversion | None) -> dict[str, object]:
    if conversion is None:
        return {}
    rate = f"{conversion.rate:f}"
    return {"conversion": {"from": conversion.deck_currency, "to": conversion.currency, "rate": rate}}


def _with_places(quanta: int, places: int) -> str:
    digits = str(quanta).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def exact_text(amount: Fraction) -> str:
    """A decimal that ends, without zeros at its end, or else "n/d" in lowest terms."""
    if not amount:
        return "0"
    if amount < 0:
        return "-" + exact_text(-amount)
    twos = (amount.denominator & -amount.denominator).bit_length() - 1
    rest, fives = amount.denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{amount.numerator}/{amount.denominator}"
    places = max(twos, fives)
    return _with_places(amount.numerator * 10**places // amount.denominator, places)


def _instant_text(at: int, zone: ZoneInfo) -> str | None:
    """RFC 3339 in the zone; None beyond the years 1 to 9999, which it cannot write."""
    try:
        local = (_EPOCH + timedelta(microseconds=at)).astimezone(zone)
    except OverflowError:
        return None
    offset = local.utcoffset()
    if offset is None or offset % _MINUTE:  # offsets of seconds, until 1972 in one zone, have no form in RFC 3339
        local = local.astimezone(UTC)
    return local.isoformat()
