"""Where numbers live: real area and country prefixes with their zones, and numbers made up behind them.

A sample of the world as a North American carrier sees it, not a numbering plan: enough to make traffic whose
destinations, zones and prices differ. Prefixes are digits of E.164 (ITU-T E.164) without `+`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final

DEFAULT_ZONE: Final = "America/New_York"
"""Zone of a number that no prefix of this page covers."""

PREMIUM_PREFIX: Final = "1900"
TOLL_FREE_PREFIXES: Final = ("1800", "1833", "1844", "1855", "1866", "1877", "1888")
FICTITIOUS_EXCHANGE: Final = "555"
"""The exchange that films use: a made-up line is nobody's."""


@dataclass(frozen=True, slots=True)
class Place:
    """A destination: everybody whose number begins with `prefix`."""

    prefix: str
    name: str
    zone: str
    """IANA time zone of the people there."""
    subscriber_digits: int
    """Digits that follow the prefix in a whole number."""
    band: str
    """Price band: `home`, `near`, `middle`, `far` or `premium`."""
    weight: float
    """How often it is called, relative to the other places of its table."""


def _area(code: str, name: str, zone: str, weight: float) -> Place:
    return Place(f"1{code}", name, zone, 7, "home", weight)


AREAS: Final = (
    _area("212", "New York, NY", "America/New_York", 10),
    _area("718", "Brooklyn, NY", "America/New_York", 8),
    _area("617", "Boston, MA", "America/New_York", 4),
    _area("215", "Philadelphia, PA", "America/New_York", 4),
    _area("202", "Washington, DC", "America/New_York", 3),
    _area("404", "Atlanta, GA", "America/New_York", 4),
    _area("305", "Miami, FL", "America/New_York", 5),
    _area("416", "Toronto, ON", "America/Toronto", 3),
    _area("312", "Chicago, IL", "America/Chicago", 6),
    _area("713", "Houston, TX", "America/Chicago", 4),
    _area("214", "Dallas, TX", "America/Chicago", 4),
    _area("504", "New Orleans, LA", "America/Chicago", 1),
    _area("303", "Denver, CO", "America/Denver", 2),
    _area("602", "Phoenix, AZ", "America/Phoenix", 2),
    _area("213", "Los Angeles, CA", "America/Los_Angeles", 8),
    _area("415", "San Francisco, CA", "America/Los_Angeles", 5),
    _area("206", "Seattle, WA", "America/Los_Angeles", 3),
    _area("808", "Honolulu, HI", "Pacific/Honolulu", 1),
)
"""Area codes where lines are made up, and where most calls go."""

COUNTRIES: Final = (
    Place("5255", "Mexico City", "America/Mexico_City", 8, "near", 12),
    Place("5281", "Monterrey", "America/Monterrey", 8, "near", 6),
    Place("1809", "Santo Domingo", "America/Santo_Domingo", 7, "near", 6),
    Place("1876", "Kingston", "America/Jamaica", 7, "near", 3),
    Place("5022", "Guatemala City", "America/Guatemala", 7, "near", 4),
    Place("5032", "San Salvador", "America/El_Salvador", 7, "near", 4),
    Place("573", "Colombia, mobile", "America/Bogota", 9, "middle", 3),
    Place("5511", "São Paulo", "America/Sao_Paulo", 9, "middle", 3),
    Place("4420", "London", "Europe/London", 8, "near", 8),
    Place("44161", "Manchester", "Europe/London", 7, "near", 2),
    Place("447", "United Kingdom, mobile", "Europe/London", 9, "middle", 5),
    Place("3531", "Dublin", "Europe/Dublin", 7, "near", 2),
    Place("331", "Paris", "Europe/Paris", 8, "near", 3),
    Place("336", "France, mobile", "Europe/Paris", 8, "middle", 2),
    Place("4930", "Berlin", "Europe/Berlin", 8, "near", 2),
    Place("4989", "Munich", "Europe/Berlin", 8, "near", 2),
    Place("4915", "Germany, mobile", "Europe/Berlin", 9, "middle", 2),
    Place("3120", "Amsterdam", "Europe/Amsterdam", 7, "near", 1),
    Place("3906", "Rome", "Europe/Rome", 8, "near", 2),
    Place("3491", "Madrid", "Europe/Madrid", 7, "near", 2),
    Place("4822", "Warsaw", "Europe/Warsaw", 7, "middle", 1),
    Place("7495", "Moscow", "Europe/Moscow", 7, "middle", 1),
    Place("9723", "Tel Aviv", "Asia/Jerusalem", 7, "middle", 2),
    Place("9714", "Dubai", "Asia/Dubai", 7, "far", 1),
    Place("9111", "New Delhi", "Asia/Kolkata", 8, "middle", 4),
    Place("9122", "Mumbai", "Asia/Kolkata", 8, "middle", 4),
    Place("919", "India, mobile", "Asia/Kolkata", 9, "middle", 6),
    Place("9221", "Karachi", "Asia/Karachi", 8, "far", 1),
    Place("8802", "Dhaka", "Asia/Dhaka", 8, "far", 1),
    Place("639", "Philippines, mobile", "Asia/Manila", 9, "far", 5),
    Place("8610", "Beijing", "Asia/Shanghai", 8, "middle", 3),
    Place("8621", "Shanghai", "Asia/Shanghai", 8, "middle", 2),
    Place("822", "Seoul", "Asia/Seoul", 8, "middle", 2),
    Place("813", "Tokyo", "Asia/Tokyo", 8, "middle", 2),
    Place("612", "Sydney", "Australia/Sydney", 8, "middle", 1),
    Place("2341", "Lagos", "Africa/Lagos", 7, "far", 2),
    Place("2711", "Johannesburg", "Africa/Johannesburg", 7, "far", 1),
    Place("537", "Havana", "America/Havana", 7, "far", 1),
)
"""Destinations abroad, weighted like the international traffic of a North American carrier."""

PREMIUM: Final = Place(PREMIUM_PREFIX, "Premium services", DEFAULT_ZONE, 7, "premium", 1)

_BY_PREFIX: Final = {place.prefix: place for place in (*AREAS, *COUNTRIES, PREMIUM)}
_LONGEST_PREFIX: Final = max(map(len, _BY_PREFIX))


def place_of(number: str) -> Place | None:
    """The place of a number in E.164, with or without `+`; None where this page does not know one."""
    digits = number.removeprefix("+")
    for length in range(min(_LONGEST_PREFIX, len(digits)), 0, -1):
        if place := _BY_PREFIX.get(digits[:length]):
            return place
    return None


def zone_of(number: str) -> str:
    """IANA zone of a number's people; `DEFAULT_ZONE` where the prefix is unknown."""
    place = place_of(number)
    return place.zone if place else DEFAULT_ZONE


def is_toll_free(number: str) -> bool:
    """Whether the called side pays, by the number's prefix."""
    return number.removeprefix("+").startswith(TOLL_FREE_PREFIXES)


class Atlas:
    """Draws places by their weight; the running sums are kept, because each draw would add them up anew."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._weights = list(accumulate(place.weight for place in places))

    def draw(self, rng: Random) -> Place:
        return rng.choices(self._places, cum_weights=self._weights)[0]


def number_in(place: Place, rng: Random) -> str:
    """A random number behind the place's prefix, in E.164 with `+`; its first subscriber digit is never 0 or 1."""
    rest = place.subscriber_digits - 1
    return f"+{place.prefix}{rng.randrange(2, 10)}{rng.randrange(10**rest):0{rest}d}"
