"""What one transaction adds to a measure, and which transactions pass the filters: in memory and in the store alike."""

from typing import Any

import pytest

from control.events.definition import Condition
from control.events.definition_json import parse_event
from control.events.measures import Sums, matcher
from control.events.past import StoredPast
from control.events.tallies import EVERY_ID
from tests.builders import ACCOUNT, NOW, a_row
from tests.event_site import EventSite, an_event, charges


def condition(**fields: Any) -> Condition:
    return parse_event(an_event(charges(**fields))).conditions[0]


def test_sums_hold_every_measure_unrounded_and_calls_only_when_answered() -> None:
    sums = Sums()
    for charge, duration in ((300, 61_500_000), (900, 0), (-200, 1)):
        sums.add(charge, duration)
    assert (sums.of("charges"), sums.of("minutes"), sums.of("calls"), sums.of("charge")) == (1000, 61_500_001, 2, 900)


@pytest.mark.parametrize(
    ("filters", "columns", "passes"),
    [
        ({}, {}, True),
        ({"service": "data"}, {"service": "data"}, True),
        ({"service": "data"}, {"service": "Data"}, False),
        ({"line": "+12125550000"}, {}, True),
        ({"line": "+12125550001"}, {}, False),
        ({"called": "+442079460018"}, {}, True),
        ({"called": "sip:ann@example.com"}, {"called": "sip:ann@example.com"}, True),
        ({"called": "+442079460019"}, {}, False),
        ({"place": "london"}, {"place_called": "London"}, True),
        ({"place": "ZÜRICH"}, {"place_called": "Zürich"}, True),
        ({"place": "London"}, {"place_called": None}, False),
        ({"called_country": "GB"}, {}, True),
        ({"called_country": ["US", "GB"]}, {}, True),
        ({"called_country": "US"}, {"called": "18765550100"}, False),  # Jamaica
        ({"called_country": "JM"}, {"called": "18765550100"}, True),
        ({"called_country_not_in": ["US", "CA"]}, {}, True),
        ({"called_country_not_in": ["US", "GB"]}, {}, False),
        ({"called_country_not_in": ["US"]}, {"called": "883510001234"}, True),  # of no country
        ({"type": "premium"}, {"type": "premium"}, True),
        ({"type": "premium"}, {}, False),
        ({"device": "imei-1"}, {"device": "imei-1"}, True),
        ({"device": "imei-1"}, {}, False),
        ({"service": "data", "called_country": "GB"}, {"service": "data"}, True),
        ({"service": "data", "called_country": "GB"}, {}, False),
    ],
)
def test_all_filters_must_hold(filters: dict[str, Any], columns: dict[str, Any], passes: bool) -> None:
    wanted = condition(**filters).filters
    holds = matcher(wanted)
    row = a_row(**{"line": "12125550000"} | columns)
    assert (holds is None or holds(row)) is passes
    site = EventSite()
    site.store(columns)
    site.cx.execute("UPDATE transactions_202611 SET line = '12125550000'")
    one = StoredPast(site.cx).sums(ACCOUNT, wanted, 0, NOW + 1, EVERY_ID)
    assert one.transactions == passes
    site.prescribe(an_event(charges(above="0.5", **filters)))
    assert len(site.cx.execute("SELECT * FROM firings").fetchall()) == passes
