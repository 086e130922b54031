"""What the customer of the story calls: some calls in the bill cycle before, and in this one more than they may owe."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from mediation.demo.provisioning import SEED
from rating.calendar import AccountCalendar
from rating.cdr import MICROS
from simulators.call_records import Record, rfc3339
from simulators.conversation import NORMAL_CLEARING
from simulators.exchange import Plan
from simulators.numbering import AREAS, COUNTRIES, Place, number_in
from simulators.population import Subscriber

CALLS_BEFORE: Final = 12
LONG_CALLS: Final = 2
"""Each costs about what the customer may owe."""
_LONG: Final = timedelta(minutes=40)
_EVERY: Final = timedelta(minutes=45)
_RING: Final = timedelta(seconds=4)
_BANDS: Final = ("near", "middle")


class Cycle(NamedTuple):
    """A bill cycle of the customer."""

    period: str
    """`YYYY-MM`: the month in which it begins, by the customer's clock."""
    start: datetime
    end: datetime


def cycle_before(customer: Subscriber, now: datetime) -> Cycle:
    """The bill cycle that ended when the present one began."""
    calendar = AccountCalendar(customer.zone, customer.cycle_day)
    begun, _ = calendar.cycle(int(now.timestamp()) * MICROS)
    start, end = calendar.cycle(begun - 1)
    zone = ZoneInfo(customer.zone)
    return Cycle(datetime.fromtimestamp(start // MICROS, zone).strftime("%Y-%m"), _utc(start), _utc(end))


def calls_before(customer: Subscriber, cycle: Cycle, switch: str) -> list[Record]:
    """Calls of the customer, all within a bill cycle: at home, across the country and abroad."""
    line, zone, rng = customer.lines[0], ZoneInfo(customer.zone), _random("story")
    abroad = [place for place in COUNTRIES if place.band in _BANDS]
    home = next(area for area in AREAS if line.number.startswith(f"+{area.prefix}"))
    records: list[Record] = []
    for number in range(CALLS_BEFORE):
        place = (home, rng.choice(AREAS), rng.choice(abroad))[number % 3]
        answer = cycle.start + (cycle.end - cycle.start) * (2 * number + 1) / (2 * CALLS_BEFORE)
        record = _record(line.number, place, "local" if place is home else "long-distance", switch, rng)
        talk_s = rng.randrange(60, 25 * 60)
        record |= {"start": rfc3339(answer - _RING, zone), "answer": rfc3339(answer, zone), "duration": talk_s}
        records.append({"id": f"story-{number}", **record, "cause": NORMAL_CLEARING})
    return records


def long_calls(customer: Subscriber, now: datetime, switch: str) -> Iterator[tuple[datetime, Plan]]:
    """Calls far away, one after the other, the last of them over a little while ago; each with its beginning."""
    rng = _random("long calls")
    for number in range(LONG_CALLS, 0, -1):
        yield now - number * _EVERY, Plan(_far(customer, switch, rng), _RING, _LONG)


def endless_call(customer: Subscriber, switch: str, name: str) -> Plan:
    """A call that goes on until somebody ends it."""
    return Plan(_far(customer, switch, _random(name)) | {"id": name})


def _far(customer: Subscriber, switch: str, rng: Random) -> Record:
    place = rng.choice([place for place in COUNTRIES if place.band == "far"])
    record = _record(customer.lines[0].number, place, "long-distance", switch, rng)
    return {"id": f"story-far-{rng.getrandbits(32):08x}", **record}


def _record(calling: str, place: Place, service: str, switch: str, rng: Random) -> Record:
    called = number_in(place, rng)
    return {"calling": calling, "called": called, "type": "direct", "service": service, "switch": switch}


def _random(name: str) -> Random:
    return Random(f"{SEED}/{name}")  # noqa: S311  # who calls whom is no secret


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at // MICROS, UTC)
