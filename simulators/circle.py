"""Whom a line calls: a small circle again and again, now and then a stranger."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Final

from simulators.numbering import AREAS, COUNTRIES, Atlas, number_in, place_of
from simulators.population import Line, callers

_CIRCLE_SHARE: Final = 0.75
"""Of a line's calls: those that stay in its circle."""

_REACHES: Final = ("neighbour", "subscriber", "country", "abroad")
_CONTACT_REACH: Final = (0.50, 0.70, 0.92, 1.00)
_STRANGER_REACH: Final = (0.30, 0.45, 0.88, 1.00)
"""Running shares of the reaches above: in the own area, in the population, elsewhere at home, another country."""

_CIRCLES_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Circle:
    """Where a line is at home, and whom it knows."""

    home_prefix: str | None
    """Prefix of the line's own area; None for a line without a number in a known place."""
    contacts: tuple[str, ...]
    """Numbers in E.164 with `+`, the dearest first."""
    weights: tuple[float, ...]
    """Running sums of the contacts' shares, which fall as 1/rank (Zipf)."""

    def is_home(self, number: str) -> bool:
        """Whether a number is a local call away."""
        return self.home_prefix is not None and number.startswith(f"+{self.home_prefix}")


class Acquaintances:
    """The circles of a population: cards and toll-free numbers are in nobody's."""

    def __init__(self, lines: Sequence[Line], seed: int) -> None:
        self._seed = seed
        self._numbers = tuple(line.number for line in callers(lines))
        self._neighbours: dict[str, list[str]] = {}
        for number in self._numbers:
            if place := place_of(number):
                self._neighbours.setdefault(place.prefix, []).append(number)
        self._areas = Atlas(AREAS)
        self._countries = Atlas(COUNTRIES)
        # a circle depends on the seed and its line alone: one that was put out of the cache comes back the same
        self.circle_of = lru_cache(_CIRCLES_KEPT)(self._draw_circle)

    def draw_called(self, line: Line, rng: Random) -> str:
        """Whom the line calls this time: a number that is not its own."""
        circle = self.circle_of(line)
        if rng.random() < _CIRCLE_SHARE:
            return rng.choices(circle.contacts, cum_weights=circle.weights)[0]
        return self._draw_number(line.number, circle.home_prefix, _STRANGER_REACH, rng)

    def draw_other(self, line: Line, rng: Random) -> str | None:
        """Another number of the population; None if the draw falls on this line, or on one without a number."""
        other = rng.choice(self._numbers)
        return other if other != line.number and other.startswith("+") else None

    def _draw_circle(self, line: Line) -> Circle:
        rng = Random(f"{self._seed}/circle/{line.number}")
        place = place_of(line.number)
        home_prefix = place.prefix if place else None
        size = min(25, 4 + int(rng.expovariate(1 / 6)))
        contacts = [self._draw_number(line.number, home_prefix, _CONTACT_REACH, rng) for _ in range(size)]
        weights = accumulate(1 / rank for rank in range(1, size + 1))
        return Circle(home_prefix, tuple(contacts), tuple(weights))

    def _draw_number(self, own: str, home_prefix: str | None, shares: Sequence[float], rng: Random) -> str:
        reach = rng.choices(_REACHES, cum_weights=shares)[0]
        if reach == "abroad":
            return number_in(self._countries.draw(rng), rng)
        if reach != "country":
            known = self._neighbours.get(home_prefix or "", ()) if reach == "neighbour" else self._numbers
            if known and (number := rng.choice(known)) != own and number.startswith("+"):
                return number
        return number_in(self._areas.draw(rng), rng)
