"""A second opinion on rating: the contract's tariff rules, word by word, in fractions, one increment at a time.

It is slow on purpose and shares nothing with the product, not even the CDR. Every function is one sentence of the
contract. It believes the tariff that it is given: what must be refused is the tests' business.
"""

import csv
import io
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import groupby
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import holidays

FILTERS = ("provider", "service", "type")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Call(Protocol):
    """What the rules ask of a call: numbers without `+`, instants and durations in microseconds."""

    @property
    def calling(self) -> str: ...
    @property
    def called(self) -> str: ...
    @property
    def answer_at(self) -> int: ...
    @property
    def duration_us(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def units(self) -> int | None: ...
    @property
    def place(self) -> str | None: ...


@dataclass(frozen=True)
class Period:
    name: str
    weekdays: frozenset[int]
    from_minute: int
    to_minute: int
    dates: tuple[str, ...]
    holidays: str | None
    priority: int

    def holds(self, local: datetime) -> bool:
        """Conditions that are given must all hold; `dates` and `holidays` are alternatives."""
        if not self.from_minute <= local.hour * 60 + local.minute < self.to_minute:
            return False
        if local.weekday() not in self.weekdays:
            return False
        if not self.dates and self.holidays is None:
            return True
        day = local.date().isoformat()
        listed = day in self.dates or day.removeprefix(f"{local.year:04}-") in self.dates
        return listed or (self.holidays is not None and local.date() in _holidays_of(self.holidays))


@dataclass(frozen=True, eq=False)
class Row:
    prefix: str
    filters: dict[str, str]
    destination: str
    place: str | None
    period: str
    after_s: int
    connect_fee: Fraction
    rate: Fraction
    per_s: int
    first_s: int
    later_s: int
    min_charge: Fraction | None
    max_charge: Fraction | None

    def rank(self) -> tuple[int, ...]:
        """The most filters first; equally many: provider before service before type."""
        return (len(self.filters), *(name in self.filters for name in FILTERS))


@dataclass(frozen=True)
class Run:
    """Equal increments in a row, charged by one row of the deck."""

    from_: datetime
    period: str
    seconds: int
    rate: Fraction
    per_s: int
    amount: Fraction


@dataclass(frozen=True)
class Answer:
    charge: Fraction
    exact: Fraction
    """Before `min_charge`, `max_charge` and rounding."""
    billed_s: int
    destination: str | None
    place_called: str | None
    connect_fee: Fraction
    capped: bool
    runs: tuple[Run, ...]


class NaiveRater:
    def __init__(self, toml: str, deck: str) -> None:
        head = tomllib.loads(toml)
        self.zone = ZoneInfo(head["timezone"])
        self.decimals: int = head["decimals"]
        self.rounding: str = head["rounding"]
        self.periods = [_read_period(table) for table in head.get("period", [])]
        self.rows = [_read_row(cells) for cells in csv.DictReader(io.StringIO(deck, newline=""))]

    def rate(self, call: Call, provider: str | None, service: str | None) -> Answer | str:
        rows = self.rows_of(call, {"provider": provider, "service": service, "type": call.type})
        in_units = call.type in ("message", "data")
        quantity = Fraction(call.duration_us, 1_000_000)
        if in_units:
            quantity = Fraction(1 if call.units is None else call.units)
        answer = EPOCH + call.answer_at * MICROSECOND

        if quantity == 0:
            named = self.row_at(rows, answer, 0) or (rows[0] if rows else None)
            return Answer(
                charge=Fraction(0),
                exact=Fraction(0),
                billed_s=0,
                destination=named.destination if named else None,
                place_called=call.place or (named.place if named else None),
                connect_fee=Fraction(0),
                capped=False,
                runs=(),
            )

        increments: list[tuple[datetime, Row, int]] = []
        consumed = 0
        while consumed < quantity:
            begins = answer if in_units else answer + timedelta(seconds=consumed)
            row = self.row_at(rows, begins, consumed)
            if row is None:
                return "no-rate"
            length = row.later_s if increments else row.first_s
            increments.append((begins, row, length))
            consumed += length

        first = increments[0][1]
        runs = _runs(increments)
        charge = exact = first.connect_fee + sum((run.amount for run in runs), Fraction(0))
        if first.min_charge is not None:
            charge = max(charge, first.min_charge)
        if first.max_charge is not None:
            charge = min(charge, first.max_charge)
        return Answer(
            charge=_rounded(charge, self.decimals, self.rounding),
            exact=exact,
            billed_s=consumed,
            destination=first.destination,
            place_called=call.place or first.place,
            connect_fee=first.connect_fee,
            capped=first.max_charge is not None and exact > first.max_charge,
            runs=runs,
        )

    def rows_of(self, call: Call, have: dict[str, str | None]) -> list[Row]:
        """Rule 1: the longest prefix with a row whose filters hold, and of its rows those with the most filters."""
        number = call.calling if call.type == "toll-free" else call.called
        rows = [
            row
            for row in self.rows
            if number.startswith(row.prefix) and all(have[name] == value for name, value in row.filters.items())
        ]
        longest = max((len(row.prefix) for row in rows), default=0)
        rows = [row for row in rows if len(row.prefix) == longest]
        best = max((row.rank() for row in rows), default=None)
        return [row for row in rows if row.rank() == best]

    def row_at(self, rows: list[Row], instant: datetime, consumed: int) -> Row | None:
        """Rule 3: by the period that holds at that instant, and in it the greatest `after_s` not above `consumed`."""
        period = self.period_at(instant.astimezone(self.zone))
        of_period = [row for row in rows if row.period == period]
        if not of_period:
            of_period = [row for row in rows if row.period == "any"]
        reached = [row for row in of_period if row.after_s <= consumed]
        return max(reached, key=lambda row: row.after_s, default=None)

    def period_at(self, local: datetime) -> str:
        """The highest priority that holds wins; a tie: the earlier in the file. Where none holds: any."""
        holding = [period for period in self.periods if period.holds(local)]
        return max(holding, key=lambda period: period.priority).name if holding else "any"  # max keeps the first


def _runs(increments: list[tuple[datetime, Row, int]]) -> tuple[Run, ...]:
    runs = []
    for _, group in groupby(increments, key=lambda increment: (id(increment[1]), increment[2])):
        members = list(group)
        begins, row, _ = members[0]
        seconds = sum(length for _, _, length in members)
        runs.append(Run(begins, row.period, seconds, row.rate, row.per_s, seconds * row.rate / row.per_s))
    return tuple(runs)


def _rounded(amount: Fraction, decimals: int, rounding: str) -> Fraction:
    scaled = amount * 10**decimals
    whole, rest = divmod(scaled, 1)
    if rounding == "up":
        whole += rest > 0
    elif rounding == "half-up":
        whole += rest >= Fraction(1, 2)
    elif rounding == "half-even":
        whole = round(scaled)
    else:
        assert rounding == "down"
    return Fraction(whole, 10**decimals)


def _read_period(table: dict[str, Any]) -> Period:
    weekdays: set[int] = set()
    for part in table.get("days", "mon-sun").split(","):
        first, _, last = part.partition("-")
        weekdays.update(range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1))
    return Period(
        name=table["name"],
        weekdays=frozenset(weekdays),
        from_minute=_minute(table.get("from", "00:00")),
        to_minute=_minute(table.get("to", "24:00")),
        dates=tuple(table.get("dates", ())),
        holidays=table.get("holidays"),
        priority=table.get("priority", 0),
    )


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _read_row(cells: dict[str, str]) -> Row:
    first_s, later_s = cells["increments"].split("/")
    return Row(
        prefix=cells["prefix"],
        filters={name: cells[name] for name in FILTERS if cells.get(name)},
        destination=cells["destination"],
        place=cells.get("place") or None,
        period=cells["period"] or "any",
        after_s=int(cells["after_s"]),
        connect_fee=Fraction(cells["connect_fee"]),
        rate=Fraction(cells["rate"]),
        per_s=int(cells["per_s"]),
        first_s=int(first_s),
        later_s=int(later_s),
        min_charge=Fraction(cells["min_charge"]) if cells.get("min_charge") else None,
        max_charge=Fraction(cells["max_charge"]) if cells.get("max_charge") else None,
    )


@cache
def _holidays_of(country: str) -> holidays.HolidayBase:
    return holidays.country_holidays(country, observed=True)
