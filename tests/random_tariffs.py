"""Seeded random tariffs, the calls that hurt them most, and tariffs that must be refused.

Everything is drawn from the `random.Random` that is handed in, so a seed gives the same material on every machine.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from rating.cdr import CALL_TYPES, CDR, MICROS

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

ZONES: Final = (
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",  # a clock change of thirty minutes
    "Asia/Kathmandu",  # +05:45, no changes
    "America/St_Johns",  # -03:30
    "Africa/Casablanca",  # changes around Ramadan
    "America/Havana",  # changes at midnight
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Auckland",  # summer in January
    "America/Santiago",  # there too, and the clock goes back from 24:00 to 23:00
    "Antarctica/Troll",  # by two hours
    "Europe/Dublin",  # where it is winter that has a time of its own
    "UTC",
)
PROVIDERS: Final = ("acme", "bell")
SERVICES: Final = ("local", "long-distance")
TYPES: Final = ("direct", "toll-free", "message", "data", "premium")
SKIPPED: Final = {"Pacific/Apia": date(2011, 12, 30)}
"""Days that a zone never had."""
FILTER_VALUES: Final = {"provider": PROVIDERS, "service": SERVICES, "type": TYPES}
PERIOD_NAMES: Final = ("peak", "off-peak", "weekend", "night", "feast")
DAYS: Final = ("mon-sun", "mon-fri", "sat,sun", "sat", "mon,wed,fri", "mon-thu,sun", "tue-tue", "sun")
TIMES: Final = ("00:00", "00:01", "00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "08:00", "12:34", "19:00")
CLOSINGS: Final = (*TIMES[1:], "23:59", "24:00")
COUNTRIES: Final = ("US", "GB", "DE", "AU", "CA")
FEASTS: Final = (
    date(2020, 12, 28),  # Boxing Day observed (GB)
    date(2021, 7, 5),  # Independence Day observed (US)
    date(2021, 12, 31),  # next year's first day observed (US)
    date(2022, 1, 3),  # this year's first day observed (GB)
    date(2024, 7, 4),
    date(2026, 12, 25),
)
PREFIX_ENDS: Final = ("0", "1", "2", "20", "4", "44", "7", "79", "999")
ADDRESSES: Final = ("sip:alice@example.net", "sip:Alice@example.net", "ip:10.0.0.1", "ip:10.0.0.12", "card:4400")
ADDRESS_PREFIXES: Final = ("sip:", "sip:alice@", "sip:alice@example.net", "ip:", "ip:10.0.0.1", "sip:alice")
PLACES: Final = ("London", "New York, NY", 'The "Rock"', "Côte d'Ivoire", "x")
STEPS: Final = (1, 5, 30, 59, 60, 61, 100, 119, 600, 3600, 86400)
INCREMENTS: Final = ("1/1", "60/60", "60/6", "60/1", "30/6", "7/3", "3/7", "1/60", "3600/60", "900/1800", "7200/3600")
RATES: Final = ("0", "0.01", "1.20", "0.0001", "0.123456789012", "3.3", "0.000000000001", "87654.321987654321")
PER_S: Final = ("1", "7", "60", "3600")
ROUNDINGS: Final = ("up", "down", "half-up", "half-even")


@dataclass
class Material:
    """A tariff as parts, so that a test can break one of them before it is written out."""

    head: dict[str, Any]
    periods: list[dict[str, Any]]
    columns: list[str]
    rows: list[dict[str, str]]
    focus: list[datetime]
    """Instants that calls are placed around."""
    longest_s: int
    """Calls longer than this would take the naive rater too long."""

    @property
    def toml(self) -> str:
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.head.items()]
        for period in self.periods:
            lines.append("[[period]]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in period.items()]
        return "\n".join(lines) + "\n"

    @property
    def deck(self) -> str:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()


def random_tariff(rng: Random) -> Material:
    zone = rng.choice(ZONES)
    focus_days = _focus_days(rng, zone)
    periods = [_random_period(rng, focus_days) for _ in range(rng.choice((0, 1, 2, 3, 3, 4, 6)))]
    if rng.random() < 0.15:
        periods += _over_midnight(rng)
    head: dict[str, Any] = {
        "name": "odd",
        "currency": "USD",
        "timezone": zone,
        "decimals": rng.randint(0, 6),
        "rounding": rng.choice(ROUNDINGS),
        "deck": "odd.csv",
    }
    if rng.random() < 0.3:
        head["valid_from"] = "1999-01-01"
    rows = _random_rows(rng, sorted({period["name"] for period in periods}), head["decimals"])
    columns = ["prefix", "destination", "period", "after_s", "connect_fee", "rate", "per_s", "increments"]
    columns += [name for name in ("place", "max_charge", "min_charge", *FILTER_VALUES) if _in_use(rng, rows, name)]
    if rng.random() < 0.5:
        rng.shuffle(columns)
    if rng.random() < 0.5:
        rng.shuffle(rows)
    shortest_s = min(int(number) for row in rows for number in row["increments"].split("/"))
    return Material(
        head=head,
        periods=periods,
        columns=columns,
        rows=rows,
        focus=_focus(rng, ZoneInfo(zone), focus_days, periods),
        longest_s=400 * shortest_s,
    )


def _in_use(rng: Random, rows: list[dict[str, str]], column: str) -> bool:
    return any(row.get(column) for row in rows) or rng.random() < 0.2


def _random_period(rng: Random, focus_days: list[date]) -> dict[str, Any]:
    period: dict[str, Any] = {"name": rng.choice(PERIOD_NAMES)}
    if rng.random() < 0.5:
        period["days"] = rng.choice(DAYS)
    if rng.random() < 0.6:
        begin, end = sorted(rng.sample((*TIMES, "23:59", "24:00"), 2))
        period |= {"from": begin, "to": end}
    elif rng.random() < 0.3:
        period |= {"from": rng.choice(TIMES)} if rng.random() < 0.5 else {"to": rng.choice(CLOSINGS)}
    if rng.random() < 0.25:
        some = rng.sample(focus_days, rng.randint(1, min(3, len(focus_days))))
        period["dates"] = [day.strftime(rng.choice(("%Y-%m-%d", "%m-%d"))) for day in some]
    if rng.random() < (0.5 if "dates" in period else 0.12):  # alternatives of each other
        period["holidays"] = rng.choice(COUNTRIES)
    if rng.random() < 0.7:
        period["priority"] = rng.choice((0, 0, 10, 10, 20, 99, -1))
    return period


def _over_midnight(rng: Random) -> list[dict[str, Any]]:
    """The contract's way to do it: two of one name."""
    some: dict[str, Any] = {"name": "night", "priority": rng.choice((0, 15, 99))}
    if rng.random() < 0.3:
        some["days"] = rng.choice(DAYS)
    return [
        some | {"from": rng.choice(("19:00", "22:00", "23:59"))},
        some | {"to": rng.choice(("00:01", "02:30", "08:00"))},
    ]


def _random_rows(rng: Random, period_names: list[str], decimals: int) -> list[dict[str, str]]:
    prefixes = {rng.choice(("1", "44", "7")) + rng.choice(("", *PREFIX_ENDS))}
    for _ in range(rng.randint(0, 5)):
        prefixes.add(rng.choice(sorted(prefixes - {""} or {"1"})) + rng.choice(PREFIX_ENDS))
    if rng.random() < 0.5:
        prefixes.add("")
    if rng.random() < 0.3:
        prefixes |= set(rng.sample(ADDRESS_PREFIXES, rng.randint(1, 3)))
    increments = rng.sample(INCREMENTS, rng.randint(1, 3))
    filtering = rng.choice((0.0, 0.2, 0.6))
    rows = []
    for prefix in sorted(prefixes):
        filters: list[dict[str, str]] = []
        for _ in range(rng.choice((1, 1, 2, 4))):
            some = {
                name: rng.choice(values)
                for name, values in FILTER_VALUES.items()
                if rng.random() < (filtering / 3 if name == "type" else filtering)
            }
            if some not in filters:
                filters.append(some)
        for some in filters:
            names = [name for name in ("", *period_names) if rng.random() < 0.8] or [""]
            for name in names:
                steps = [0, *rng.sample(STEPS, rng.choice((0, 0, 1, 2, 3)))]
                for after_s in steps:
                    row = _random_prices(rng, increments, decimals) | some
                    cell = name or rng.choice(("", "", "any"))
                    rows.append(row | {"prefix": prefix, "period": cell, "after_s": str(after_s)})
    return rows


def _random_prices(rng: Random, increments: list[str], decimals: int) -> dict[str, str]:
    ties = "0." + "0" * decimals + "5"  # one increment or three of it fall half-way between two roundings
    row = {
        "destination": rng.choice(PLACES),
        "place": rng.choice(("", "", *PLACES)),
        "connect_fee": rng.choice(("0", "0", "0.20", "0.1", ties, "0.0000001", "0.000000000003", "12")),
        "rate": rng.choice((*RATES, ties, ties)) if rng.random() < 0.98 else "987654321987.654321",
        "per_s": rng.choice(PER_S),
        "increments": rng.choice(increments),
    }
    if rng.random() < 0.2:
        row["max_charge"] = rng.choice(("0", "0.05", ties, "0.3333333333", "1", "100"))
    if rng.random() < 0.2:
        least = rng.choice(("0", ties, "0.0499999", "0.0499999999999", "0.1", "2", "7"))
        if Fraction(least) <= Fraction(row.get("max_charge", least)):  # the contract does not say which of them wins
            row["min_charge"] = least
    return row


def _focus_days(rng: Random, zone: str) -> list[date]:
    days = [instant.astimezone(ZoneInfo(zone)).date() for instant in _some(rng, clock_changes(zone), 2)]
    month, day = rng.choice(((1, 1), (12, 31), (2, 28)))
    days += [rng.choice(FEASTS), date(rng.randint(2012, 2030), month, day)]
    days.append(rng.choice((date(2020, 2, 29), date(2024, 2, 29), date(2012, 1, 1) + timedelta(rng.randrange(7000)))))
    if zone in SKIPPED and rng.random() < 0.5:
        days += [SKIPPED[zone] + timedelta(days=rng.choice((-1, 0, 1))), SKIPPED[zone]]
    return days


def _some(rng: Random, instants: tuple[datetime, ...], count: int) -> list[datetime]:
    return rng.sample(instants, min(count, len(instants)))


def _focus(rng: Random, zone: ZoneInfo, days: list[date], periods: list[dict[str, Any]]) -> list[datetime]:
    """Each focus day's midnights, clock change and period boundaries, as instants."""
    boundaries = {"00:00"} | {period[key] for period in periods for key in ("from", "to") if key in period}
    instants = []
    for day in days:
        for boundary in sorted(boundaries):
            hour, minute = map(int, boundary.split(":"))
            on = day + timedelta(days=1) if hour == 24 else day
            for fold in (0, 1):  # the same unless the clock shows the hour twice, or never
                local = datetime.combine(on, time(hour % 24, minute, fold=fold), tzinfo=zone)
                instants.append(local.astimezone(UTC))
        instants += [change for change in clock_changes(zone.key) if change.astimezone(zone).date() == day] * 4
    return instants


@cache
def clock_changes(zone_name: str) -> tuple[datetime, ...]:
    """The instants from 2010 to 2030 at which the zone's clock is put forward or back, to the second."""
    zone = ZoneInfo(zone_name)
    changes = []
    day = datetime(2010, 1, 1, tzinfo=UTC)
    while day.year < 2031:
        low, high = day, day + timedelta(days=1)
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            changes.append(high)
        day += timedelta(days=1)
    return tuple(changes)


def random_call(rng: Random, material: Material) -> tuple[CDR, str | None, str | None]:
    """A call for the tariff, with its line's provider and service."""
    row = rng.choice(material.rows)  # most calls are meant for one of the rows
    duration_us = _random_duration_us(rng, material, row)
    boundary = (rng.choice(material.focus) - EPOCH) // MICROSECOND
    lead_us = rng.choice(
        (
            0,
            1,
            -1,
            MICROS,
            60 * MICROS * rng.randint(0, 3),
            MICROS * int(rng.choice(row["increments"].split("/"))) * rng.randint(0, 4),
            MICROS * int(row["after_s"]),  # so that the step and the period end at once
            rng.randint(0, duration_us),
            rng.randint(0, duration_us),
            rng.randint(0, duration_us) // MICROS * MICROS,
            duration_us,
            duration_us + 1,
            rng.randint(-4 * 86_400 * MICROS, 4 * 86_400 * MICROS),
        )
    )
    answer_at = boundary - lead_us
    if rng.random() < 0.2:
        answer_at += rng.choice((1, -1, 500_000, -999_999, 250_000))
    aimed = rng.random() < 0.7
    type_ = rng.choice(("direct", "direct", *TYPES, *sorted(CALL_TYPES)))
    service = rng.choice((None, *SERVICES))
    provider = rng.choice((None, *PROVIDERS))
    if aimed:
        type_, service, provider = row.get("type", type_), row.get("service", service), row.get("provider", provider)
    cdr = CDR(
        source="pop-nyc",
        id=f"c-{rng.randrange(10**9)}",
        calling=_random_number(rng, row if aimed else rng.choice(material.rows)),
        called=_random_number(rng, row if aimed else rng.choice(material.rows)),
        start_at=answer_at - rng.choice((0, 1, 4_000_000, 61_234_567)),
        offset_min=rng.choice((0, -300, 630, 345)),
        answer_at=answer_at,
        duration_us=duration_us,
        type=type_,
        service=service if rng.random() < 0.5 else None,
        units=_random_units(rng, type_),
        place=rng.choice(("Atlantis", "London")) if rng.random() < 0.2 else None,
    )
    return cdr, provider, service


def _random_duration_us(rng: Random, material: Material, row: dict[str, str]) -> int:
    longest_us = material.longest_s * MICROS
    if rng.random() < 0.0004:  # rarely: the naive rater takes a while
        return rng.choice((43_200, 86_399, 100_000)) * MICROS
    first_s, later_s = map(int, row["increments"].split("/"))
    whole_us = (first_s + later_s * rng.randint(0, 200)) * MICROS
    chosen = rng.choice(
        (
            0,
            1,
            59_999_999,
            60_000_000,
            60_000_001,
            MICROS,
            whole_us,
            whole_us + rng.choice((1, -1)),
            int(row["after_s"]) * MICROS + rng.choice((0, 1, -1, MICROS)),
            rng.randint(0, 400 * MICROS),
            rng.randint(0, 7200) * MICROS,
            rng.randint(0, longest_us),
            rng.randint(0, longest_us // MICROS) * MICROS,
        )
    )
    return min(max(chosen, 0), longest_us)


def _random_units(rng: Random, type_: str) -> int | None:
    if type_ in ("message", "data") or rng.random() < 0.1:
        return rng.choice((None, 0, 1, 1, 2, 59, 60, 61, rng.randint(0, 300)))
    return None


def _random_number(rng: Random, row: dict[str, str]) -> str:
    if rng.random() < 0.1:
        return rng.choice(ADDRESSES)
    prefix = row["prefix"] if rng.random() < 0.9 else ""
    if not (prefix or "1").isdecimal():
        return rng.choice([address for address in ADDRESSES if address.startswith(prefix)])
    digits = (prefix or rng.choice("123456789")) + "".join(rng.choices("0124479", k=rng.randint(0, 9)))
    return digits[:15].ljust(3, "0")


@dataclass(frozen=True)
class Refusal:
    """A way to spoil a good tariff that the contract names."""

    fault: str
    spoil: Callable[[Material, Random], None]
    file: str
    """Which file's fault it is: toml or deck."""
    hint: str
    """A regular expression; something of it must be in the message."""


def _cell(column: str, *bad: str) -> list[Refusal]:
    def spoil_with(text: str) -> Callable[[Material, Random], None]:
        def spoil(material: Material, rng: Random) -> None:
            if column not in material.columns:
                material.columns.append(column)
            rng.choice(material.rows)[column] = text

        return spoil

    return [Refusal(f"{column} {text!r}", spoil_with(text), "deck", column.replace("_", "[_ ]")) for text in bad]


def _key(key: str, *bad: object, hint: str | None = None) -> list[Refusal]:
    def spoil_with(value: object) -> Callable[[Material, Random], None]:
        def spoil(material: Material, rng: Random) -> None:
            material.head[key] = value

        return spoil

    return [Refusal(f"{key} = {value!r}", spoil_with(value), "toml", hint or key) for value in bad]


def _period(hint: str, **keys: object) -> Refusal:
    def spoil(material: Material, rng: Random) -> None:
        broken = {"name": "spoilt"} | keys
        material.periods.insert(rng.randint(0, len(material.periods)), broken)

    return Refusal(f"[[period]] {json.dumps(keys)}", spoil, "toml", hint)


def _undefined_period(material: Material, rng: Random) -> None:
    rng.choice(material.rows)["period"] = "twilight"


def _same_row_twice(material: Material, rng: Random) -> None:
    twin = rng.choice(material.rows) | {"rate": "7.77", "destination": "Elsewhere"}
    material.rows.insert(rng.randint(0, len(material.rows)), twin)


def _same_row_spelt_otherwise(material: Material, rng: Random) -> None:
    row = rng.choice(material.rows)
    material.rows.append(row | {"after_s": "0" + row["after_s"]})


def _any_beside_the_empty_period(material: Material, rng: Random) -> None:
    row = rng.choice(material.rows) | {"prefix": "8712347", "after_s": "0"}
    material.rows += [row | {"period": ""}, row | {"period": "any"}]


def _unknown_column(material: Material, rng: Random) -> None:
    material.columns.append("colour")


def _nothing_at_zero(material: Material, rng: Random) -> None:
    orphan = rng.choice(material.rows) | {"prefix": "8712345", "after_s": "30"}
    material.rows.insert(rng.randint(0, len(material.rows)), orphan)


def _first_step_raised(material: Material, rng: Random) -> None:
    """A prefix, filters and period with two rows, of which the one at 0 is moved to 7."""
    row = rng.choice(material.rows) | {"prefix": "8712346"}
    material.rows += [row | {"after_s": "7"}, row | {"after_s": "9"}]


def _no_rows(material: Material, rng: Random) -> None:
    material.rows.clear()


BAD_MONEY: Final = ("-1", "-0.01", "1e3", "NaN", "inf", "1,5", "1/2", "abc", "0x10", "1_000")
TWICE: Final = "twice|two|equal|duplicate|same|again|already"
BAD_WHOLE: Final = ("-1", "1.5", "x", "1e1", "1_0")

REFUSALS: Final[list[Refusal]] = [
    *_key("colour", "blue"),
    *_key("Decimals", 2),
    *_key("timezone", "Mars/Olympus", "", "../etc/passwd", "EST5EDT6", hint="zone"),
    *_key("rounding", "half", "HALF-UP", "", "bankers"),
    *_key("decimals", 7, -1, "4", 2.5, True),
    _period("colour", colour="blue"),
    _period("Priority", Priority=3),
    _period("any", name="any"),
    _period("from|to", **{"from": "19:00", "to": "08:00"}),
    _period("from|to", **{"from": "08:00", "to": "08:00"}),
    _period("from|to|00:00", to="00:00"),
    _period("from|24:00", **{"from": "24:00"}),
    _period("from|25:00", **{"from": "25:00", "to": "26:00"}),
    _period("to|24:01", to="24:01"),
    _period("from|08:60", **{"from": "08:60"}),
    _period("days|moonday", days="moonday"),
    _period("days", days="mon-"),
    _period("days", days=""),
    _period("dates|2020-13-01", dates=["2020-13-01"]),
    _period("dates|2021-02-29", dates=["2021-02-29"]),
    _period("dates|02-30", dates=["02-30"]),
    _period("dates|someday", dates=["someday"]),
    _period("holidays|XX", holidays="XX"),
    _period("priority", priority="high"),
    *_cell("connect_fee", *BAD_MONEY, ""),
    *_cell("rate", *BAD_MONEY, ""),
    *_cell("max_charge", *BAD_MONEY),
    *_cell("min_charge", *BAD_MONEY),
    *_cell("after_s", *BAD_WHOLE, ""),
    *_cell("per_s", *BAD_WHOLE, "0", ""),
    *_cell("increments", "0/60", "60/0", "60", "60/6/1", "a/b", "-1/1", "1.5/1", "60/", "/60", "1_0/1", ""),
    Refusal("a row's period is not defined", _undefined_period, "deck", "twilight"),
    Refusal("two equal rows", _same_row_twice, "deck", TWICE),
    Refusal("two equal rows, spelt otherwise", _same_row_spelt_otherwise, "deck", f"after_s|{TWICE}"),
    Refusal("two equal rows, empty and any", _any_beside_the_empty_period, "deck", f"any|{TWICE}"),
    Refusal("an unknown column", _unknown_column, "deck", "colour"),
    Refusal("no row at after_s 0", _nothing_at_zero, "deck", "after_s"),
    Refusal("no row at after_s 0 but two later", _first_step_raised, "deck", "after_s"),
    Refusal("a deck without rows", _no_rows, "deck", "row"),
]
