"""Who calls: lines and the subscribers that pay for them, made up from a seed or read from a lines.csv.

Everything here is a function of its arguments: the same seed makes the same people.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from simulators.numbering import AREAS, FICTITIOUS_EXCHANGE, Atlas, Place, is_toll_free, zone_of

Habit = Literal["home", "work"]
"""When a line calls: `home` in the evening, `work` in office hours."""

LINE_SERVICES: Final = ("local", "long-distance", "voice-mail", "messaging")
"""Services of a made-up line; a CDR names one of those its line has, or none."""

FIRST_ACCOUNT: Final = 4_000_000_000
"""Made-up accounts are numbered upwards from here."""

MOST_LINES: Final = len(AREAS) * 10_000
"""Numbers in the fictitious exchanges of all areas."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as traffic needs it."""

    number: str
    """E.164 with `+`, or `card:NUMBER`, `sip:user@host`, `ip:address`."""
    zone: str
    """IANA zone whose clock its people live by."""
    services: tuple[str, ...] = ()
    """Services that its CDRs may name; empty: none is named."""
    appetite: float = 1.0
    """Calls it makes, relative to the average line."""
    habit: Habit = "home"

    @property
    def is_card(self) -> bool:
        """A calling card pays for calls and makes none."""
        return self.number.startswith("card:")

    @property
    def is_toll_free(self) -> bool:
        """A toll-free number is called at its own expense and makes no calls."""
        return is_toll_free(self.number)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """An account and its lines."""

    account: str
    name: str
    email: str
    zone: str
    segment: Literal["household", "business"]
    credit_limit: str
    """Decimal string, in the account's currency."""
    cycle_day: int
    """Day of the month on which a bill cycle begins, 1..31."""
    lines: tuple[Line, ...]


_FIRST_NAMES: Final = ("Ana", "Ben", "Chloe", "Dev", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jamal", "Kiki")
_LAST_NAMES: Final = (
    "Abbott",
    "Bauer",
    "Costa",
    "Diaz",
    "Evans",
    "Fox",
    "Gupta",
    "Hale",
    "Ito",
    "Jensen",
    "Kim",
    "Lopez",
)
_TRADES: Final = ("Bakery", "Dental", "Freight", "Hardware", "Insurance", "Law", "Motors", "Press", "Realty", "Travel")

_BUSINESS_SHARE: Final = 0.15
_TOLL_FREE_SHARE: Final = 0.4
"""Of the businesses: those that are called at their own expense."""
_CARD_SHARE: Final = 0.2
"""Of all subscribers: those who hold a calling card."""
_APPETITE_SIGMA: Final = 1.0
"""Spread of the log-normal appetite: the busiest tenth of the lines makes about 4 of 10 calls."""
_WORK_APPETITE: Final = 3.0


def make_population(lines: int, seed: int) -> tuple[Subscriber, ...]:
    """Subscribers with exactly `lines` calling lines between them; toll-free numbers and cards come on top.

    Raises:
        ValueError: more lines than the fictitious exchanges have numbers, or none at all.
    """
    if not 1 <= lines <= MOST_LINES:
        raise ValueError(f"a made-up population has 1 to {MOST_LINES} lines, not {lines}")
    rng = Random(f"{seed}/population")
    numbers = _Numbers(rng)
    subscribers: list[Subscriber] = []
    while lines:
        subscriber = _make_subscriber(FIRST_ACCOUNT + len(subscribers), lines, numbers, rng)
        lines -= sum(not (line.is_card or line.is_toll_free) for line in subscriber.lines)
        subscribers.append(subscriber)
    return tuple(subscribers)


def lines_of(subscribers: Iterable[Subscriber]) -> tuple[Line, ...]:
    """All their lines, in the subscribers' order."""
    return tuple(line for subscriber in subscribers for line in subscriber.lines)


def read_lines(text: str, seed: int) -> tuple[Line, ...]:
    """The lines of a lines.csv: the zone follows from the number, the appetite from the seed and the number.

    Raises:
        ValueError: it has no column `line`, or no line.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if "line" not in (rows.fieldnames or ()):
        raise ValueError("the header row has no column `line`")
    services: dict[str, list[str]] = {}
    for row in rows:
        if number := (row["line"] or "").strip():
            # a number may be given without its `+`
            number = f"+{number}" if number.isdecimal() else number
            # (line, service, from) is the key: a line has a row for each of its services
            services.setdefault(number, []).append((row.get("service") or "").strip())
    if not services:
        raise ValueError("it has no line")
    return tuple(_read_line(number, tuple(filter(None, names)), seed) for number, names in services.items())


def _read_line(number: str, services: tuple[str, ...], seed: int) -> Line:
    rng = Random(f"{seed}/line/{number}")
    habit: Habit = "work" if rng.random() < _BUSINESS_SHARE else "home"
    return Line(number, zone_of(number), tuple(dict.fromkeys(services)), _appetite(habit, rng), habit)


def _make_subscriber(account: int, most_lines: int, numbers: "_Numbers", rng: Random) -> Subscriber:
    is_business = rng.random() < _BUSINESS_SHARE
    size = min(most_lines, rng.choice((3, 4, 5, 8, 12, 20)) if is_business else rng.choice((1, 1, 1, 2, 2, 3)))
    area = numbers.area()
    habit: Habit = "work" if is_business else "home"
    own_numbers = [numbers.take(area) for _ in range(size)]
    lines = [Line(number, zone_of(number), LINE_SERVICES, _appetite(habit, rng), habit) for number in own_numbers]
    if is_business and rng.random() < _TOLL_FREE_SHARE:
        lines.append(Line(f"+1800{5_550_000 + account - FIRST_ACCOUNT}", area.zone, ("toll-free",), 0.0, habit))
    if rng.random() < _CARD_SHARE:
        lines.append(Line(f"card:{account}01", area.zone, ("long-distance",), 0.0, habit))
    last_name = rng.choice(_LAST_NAMES)
    name = f"{last_name} {rng.choice(_TRADES)}" if is_business else f"{rng.choice(_FIRST_NAMES)} {last_name}"
    return Subscriber(
        account=str(account),
        name=name,
        email=f"{name.lower().replace(' ', '.')}.{account % 1_000_000}@example.com",
        zone=area.zone,
        segment="business" if is_business else "household",
        # a few small limits, so that a day of traffic has accounts that cross theirs
        credit_limit=rng.choice(("1500.00", "2500.00", "5000.00") if is_business else ("10.00", "100.00", "250.00")),
        cycle_day=rng.choice((1, 1, 5, 10, 15, 20, 28, 31)),
        lines=tuple(lines),
    )


def _appetite(habit: Habit, rng: Random) -> float:
    # exp(−σ²/2) is what makes the mean of the log-normal 1
    appetite = rng.lognormvariate(-(_APPETITE_SIGMA**2) / 2, _APPETITE_SIGMA)
    return appetite * (_WORK_APPETITE if habit == "work" else 1.0)


class _Numbers:
    """Hands out each number of the fictitious exchanges once, in random order."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._atlas = Atlas(AREAS)
        self._free: dict[str, list[int]] = {}

    def area(self) -> Place:
        """A random area, by its weight."""
        return self._atlas.draw(self._rng)

    def take(self, area: Place) -> str:
        """A number of this area; of the roomiest one when its numbers are used up."""
        if not self._numbers(area):
            area = max(AREAS, key=lambda other: len(self._numbers(other)))
        return f"+{area.prefix}{FICTITIOUS_EXCHANGE}{self._numbers(area).pop():04d}"

    def _numbers(self, area: Place) -> list[int]:
        if area.prefix not in self._free:
            self._free[area.prefix] = self._rng.sample(range(10_000), 10_000)
        return self._free[area.prefix]


def callers(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines that make calls."""
    return (line for line in lines if not (line.is_card or line.is_toll_free))
