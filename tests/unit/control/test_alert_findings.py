"""What alerts tell of a firing is read off its trace as the store keeps it: exactly, in the measure's own unit."""

from typing import Any, Final

import msgspec
import pytest

from control.alerts.alert import Finding
from control.alerts.findings import findings_of
from tests.builders import an_account
from tests.event_site import UNIT, EventSite, an_event, charges

MINUTE: Final = 60 * UNIT
AVERAGE: Final = {"measure": "minutes", "period": "month", "above_average": {"months": 1, "percent": 50}}
OVER_TEN: Final = Finding("charges", 10_500_000, 10_000_000, "above", "month")


@pytest.mark.parametrize(
    ("when", "calls", "told"),
    [
        (charges(above=10), [{"charge": 10}, {"charge_micros": 500_000}], [OVER_TEN]),
        (charges(at_least="10.50"), [{"charge_micros": 10_500_001}],
         [Finding("charges", 10_500_001, 10_500_000, "at_least", "month")]),
        ({"measure": "charges", "above_credit_limit": True}, [{"charge": 26}],
         [Finding("charges", 26_000_000, 25_000_000, "above", "bill-cycle", "", "credit limit")]),
        # A microsecond above a minute: the trace's minutes are the same number, as they are written.
        ({"measure": "minutes", "period": "day", "above": 1}, [{"duration_us": MINUTE + 1}],
         [Finding("minutes", MINUTE + 1, MINUTE, "above", "day")]),
        ({"measure": "minutes", "period": "day", "at_least": "0.000001"}, [{"duration_us": MINUTE}],
         [Finding("minutes", MINUTE, 60, "at_least", "day")]),
        (AVERAGE, [{"duration_us": 100, "answer": "2026-10-09T12:00:00Z"}, {"duration_us": 151}],
         [Finding("minutes", 151, 150, "above", "month", "", "average of 1 month")]),
        ({"measure": "calls", "period": "day", "at_least": 2, "called_country_not_in": ["US", "CA"], "service": "fax"},
         [{"called": "442079460018", "service": "fax"}] * 2,
         [Finding("calls", 2, 2, "at_least", "day", "fax, US, CA")]),
        ({"measure": "charge", "above": "5"}, [{"charge": 6}],
         [Finding("charge", 6_000_000, 5_000_000, "above", "bill-cycle")]),
        ({"any": [charges(above=11), charges(above=10)]}, [{"charge_micros": 10_500_000}], [OVER_TEN]),
    ],
)  # fmt: skip
def test_what_is_told_are_the_conditions_that_held(
    when: dict[str, Any], calls: list[dict[str, Any]], told: list[Finding]
) -> None:
    site = EventSite([an_account(timezone="UTC", credit_limit_micros=25 * UNIT)], opened_at={an_account().account: 0})
    site.prescribe(an_event(when))
    (fired,) = [fired for call in calls for fired in site.store(call)]
    assert list(findings_of(msgspec.json.decode(msgspec.json.encode(fired.trace)))) == told


def test_a_trace_from_before_it_named_a_limit_tells_nothing() -> None:
    old = {"measure": "charges", "period": "month", "value": "11.00", "threshold": "charges above 10.00", "holds": True}
    assert findings_of([old]) == ()
