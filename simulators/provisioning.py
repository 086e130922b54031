"""What a site must know before it can rate a made-up population: accounts, lines, a tariff and its rate deck.

The texts are in the contract's provisioning formats and fit `simulators.traffic`: every service and destination that
its calls name is provisioned and priced.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from simulators.numbering import AREAS, COUNTRIES, PREMIUM, Place
from simulators.population import Line, Subscriber

ACCOUNT_HEADER: Final = "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day,segment"
LINE_HEADER: Final = "line,account,provider,service,switch"
DECK_HEADER: Final = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments,place,type"

PROVIDERS: Final = {"local": "Metro Local", "long-distance": "Transcontinental", "toll-free": "Transcontinental"}
"""Who serves a service, as lines.csv names them; the others come from the local company."""


@dataclass(frozen=True, slots=True)
class Band:
    """A price band: money in units of the tariff's currency, as decimal text."""

    connect_fee: str
    peak: str
    """Rate a minute in the peak period …"""
    off_peak: str
    """… and outside of it."""
    increments: str
    message: str
    """Rate of one message."""


BANDS: Final = {
    "home": Band("0", "0.0450", "0.0250", "60/6", "0.0200"),
    "near": Band("0.10", "0.2100", "0.1400", "30/6", "0.0600"),
    "middle": Band("0.10", "0.4400", "0.3300", "30/6", "0.0900"),
    "far": Band("0.25", "1.1500", "0.9800", "60/60", "0.1500"),
    "premium": Band("1.50", "1.9900", "1.9900", "60/60", "0.9900"),
}
"""The demo's prices, by `simulators.numbering.Place.band`."""


@dataclass(frozen=True, slots=True)
class ProvisioningFiles:
    """Where the files are: import `tariff` first (it names the deck), then `accounts`, then `lines`."""

    accounts: Path
    lines: Path
    tariff: Path
    deck: Path


def write_provisioning(
    directory: Path,
    subscribers: Sequence[Subscriber],
    *,
    valid_from: date,
    tariff: str = "standard",
    agents: Sequence[str] = (),
    switch_of: Callable[[Line], str] = lambda _line: "",
) -> ProvisioningFiles:
    """Write accounts.csv, lines.csv, TARIFF.toml and TARIFF.csv; `switch_of` gives a line's `[switches.…]` or nothing.

    Raises:
        OSError: the directory cannot be written to.
    """
    files = ProvisioningFiles(
        accounts=directory / "accounts.csv",
        lines=directory / "lines.csv",
        tariff=directory / f"{tariff}.toml",
        deck=directory / f"{tariff}.csv",
    )
    files.accounts.write_text(accounts_csv(subscribers, tariff=tariff, agents=agents), encoding="utf-8")
    files.lines.write_text(lines_csv(subscribers, switch_of), encoding="utf-8")
    files.tariff.write_text(tariff_toml(tariff, valid_from), encoding="utf-8")
    files.deck.write_text(deck_csv(), encoding="utf-8")
    return files


def accounts_csv(subscribers: Iterable[Subscriber], *, tariff: str, agents: Sequence[str] = ()) -> str:
    """One row an account; the agents take turns, or nobody owns them."""
    return _csv(
        ACCOUNT_HEADER,
        (
            (
                subscriber.account,
                subscriber.name,
                subscriber.email,
                "USD",
                subscriber.zone,
                subscriber.credit_limit,
                tariff,
                agents[index % len(agents)] if agents else "",
                subscriber.cycle_day,
                subscriber.segment,
            )
            for index, subscriber in enumerate(subscribers)
        ),
    )


def lines_csv(subscribers: Iterable[Subscriber], switch_of: Callable[[Line], str] = lambda _line: "") -> str:
    """One row for each service of each line."""
    return _csv(
        LINE_HEADER,
        (
            (line.number, subscriber.account, PROVIDERS.get(service, PROVIDERS["local"]), service, switch_of(line))
            for subscriber in subscribers
            for line in subscriber.lines
            for service in line.services
        ),
    )


def tariff_toml(name: str, valid_from: date) -> str:
    """A tariff in US dollars: office hours of New York are peak, holidays are not."""
    return f"""\
name = "{name}"
currency = "USD"
timezone = "America/New_York"
valid_from = "{valid_from.isoformat()}"
decimals = 4
rounding = "half-up"
deck = "{name}.csv"

[[period]]
name = "off-peak"

[[period]]
name = "peak"
days = "mon-fri"
from = "08:00"
to = "19:00"
priority = 10

[[period]]
name = "off-peak"
holidays = "US"
priority = 20
"""


def deck_csv() -> str:
    """The rate deck: calls by band and period, messages by band, and a fallback for the rest of the world."""
    rest_of_world = Place("", "Rest of the world", "UTC", 0, "far", 0)
    rest_of_home = Place("1", "United States and Canada", "America/New_York", 0, "home", 0)
    places = (rest_of_world, rest_of_home, *AREAS, PREMIUM, *COUNTRIES)
    return _csv(DECK_HEADER, (row for place in places for row in _deck_rows(place)))


def _deck_rows(place: Place) -> Iterable[tuple[object, ...]]:
    # Messages need a row at every prefix: the longest prefix wins with any row at all, and would price them as calls.
    band = BANDS[place.band]
    where = (place.prefix, place.name)
    yield (*where, "peak", 0, band.connect_fee, band.peak, 60, band.increments, place.name, "")
    yield (*where, "off-peak", 0, band.connect_fee, band.off_peak, 60, band.increments, place.name, "")
    yield (*where, "", 0, 0, band.message, 1, "1/1", place.name, "message")


def _csv(header: str, rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return f"{header}\n{text.getvalue()}"
