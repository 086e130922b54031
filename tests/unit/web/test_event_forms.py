"""The form of an account event: what is typed becomes the contract's JSON, and goes back into the same inputs."""

from typing import Any

import pytest
from multidict import MultiDict

from control.events.definition import as_json
from control.events.definition_json import parse_event
from web.pages.event_forms import document_of, event_of, form_of, input_of, json_of
from web.pages.suspense_forms import FormRefused

CHARGES = {"measure": "charges", "period": "bill-cycle", "above": "2500.00"}
LONG = CHARGES | {"service": "long-distance"}
UNUSUAL = {"measure": "minutes", "period": "month", "above_average": {"months": 3, "percent": "50"}}
ABROAD = {"measure": "calls", "called_country_not_in": ["US", "CA"], "period": "day", "at_least": "20"}
TYPED = {
    "name": "Too much", "scope": "numbers", "numbers": "4000012345", "measure.1": "charges", "period.1": "bill-cycle",
    "comparison.1": "above", "value.1": "2500.00", "check": "continuous",
}  # fmt: skip


def typed(**changes: str) -> MultiDict[str]:
    """The plainest form, with some inputs filled in otherwise; `_1` at the end of a name is `.1`."""
    inputs = {name[:-2] + "." + name[-1] if name[-2:-1] == "_" else name: text for name, text in changes.items()}
    return MultiDict(TYPED | inputs)


def event(**changes: Any) -> dict[str, Any]:
    return {
        "accounts": {"numbers": ["4000012345"]}, "name": "Too much", "when": CHARGES, "check": {"continuous": True},
    } | changes  # fmt: skip


EVENTS = [
    event(),
    event(accounts={"numbers": ["1", "2"]}),
    event(accounts={"segment": "gold"}),
    event(accounts={"all": True}),
    event(when={"any": [LONG, UNUSUAL]}),
    event(when={"all": [LONG, UNUSUAL, ABROAD]}),
    event(when={"measure": "charges", "period": "bill-cycle", "above_credit_limit": True}),
    event(when=CHARGES | {"called_country": "GB"}),
    event(when=CHARGES | {"called_country": ["GB", "FR"], "line": "12125550142", "called": "442079460018"}),
    event(when=CHARGES | {"above": 2500}),
    event(check={"every": "1h"}),
    event(check={"every": True}),
    event(check={"once": "2026-12-01T00:00:00Z"}),
    event(alert=[{"by": "email", "when": "fired"}, {"by": "email", "to": "provider", "when": "confirmed"}]),
    event(alert=[{"by": "email", "to": "a@b.example", "when": "confirmed"}]),
    event(respond=[{"do": "bar", "services": ["long-distance", "voice-mail"], "until": "period-end"}]),
    event(respond=[{"do": "raise-credit-limit", "percent": "10", "at_most": "3000.00"}]),
]


@pytest.mark.parametrize("document", EVENTS, ids=str)
def test_what_the_form_can_say_comes_back_as_it_was(document: dict[str, Any]) -> None:
    definition = parse_event(document)
    form = form_of(definition)
    assert form is not None
    assert str(as_json(event_of(form))).replace("'", "") == str(as_json(definition)).replace("'", "")


RICHER = [
    event(respond=[{"do": "disconnect"}]),
    event(when={"measure": "sessions", "above": 1}),
    event(when={"any": [CHARGES, {"all": [LONG, UNUSUAL]}]}),
    event(when={"any": [CHARGES, LONG, UNUSUAL, ABROAD]}),
    event(when=CHARGES | {"device": "7"}),
    event(when={"measure": "minutes", "period": "month", "of_average": {"months": 3, "percent": "50"}}),
    event(alert=[{"by": "webhook", "to": "https://ops.example/hook", "when": "fired"}]),
    event(alert=[{"by": "email", "to": to, "when": when} for to, when in (("a@b.c", "fired"), ("d@e.f", "confirmed"))]),
    event(respond=[{"do": "bar", "services": [name], "until": "cleared"} for name in ("a", "b")]),
]


@pytest.mark.parametrize("document", RICHER, ids=str)
def test_what_the_form_cannot_say_is_json_and_loses_nothing(document: dict[str, Any]) -> None:
    definition = parse_event(document)
    assert form_of(definition) is None
    assert event_of(MultiDict({"json": json_of(definition)})) == definition


def test_conditions_may_be_left_out_in_the_middle() -> None:
    form = typed(measure_3="calls", period_3="day", comparison_3="at_least", value_3="20", how="all")
    assert document_of(form)["when"] == {
        "all": [CHARGES, {"measure": "calls", "period": "day", "at_least": "20"}],
    }


WRONG = [
    ({"name": " "}, "name", "give it a name"),
    ({"numbers": ""}, "numbers", "give one account number or more"),
    ({"scope": "segment"}, "segment", "name the segment"),
    ({"measure_1": "", "value_1": ""}, "measure.1", "choose what is measured"),
    ({"value_2": "5"}, "measure.2", "choose what is measured, or empty the rest of this condition"),
    ({"value_1": ""}, "value.1", "give a number to compare with"),
    ({"value_1": "much"}, "value.1", "'much' is not a number"),
    ({"value_1": "-1"}, "value.1", "'-1' is not a number"),
    ({"measure_3": "calls", "period_3": "day", "value_3": "1.5"}, "value.3", "'1.5' is no number of calls"),
    ({"measure_2": "calls", "period_2": "eon", "value_2": "1"}, "period.2", "'eon' is none of its words"),
    ({"line_1": "home"}, "line.1", "'home' is no number"),
    ({"country_1": "GB, ZZ"}, "country.1", "'ZZ' is no country"),
    ({"country_1": "ZZ", "outside_1": "yes"}, "country.1", "'ZZ' is no country"),
    ({"comparison_1": "above_average", "percent_1": "50"}, "months.1", "say how many periods"),
    ({"comparison_1": "above_average", "percent_1": "50", "months_1": "x"}, "months.1", "'x' is not in range"),
    ({"comparison_1": "above_average", "percent_1": "x", "months_1": "3"}, "percent.1", "'x' is not a number"),
    ({"comparison_1": "above_credit_limit", "measure_1": "calls"}, "comparison.1", "calls cannot be compared"),
    ({"check": "every", "every": "often"}, "every", "'often' is no interval"),
    ({"check": "once"}, "once", "say when"),
    ({"check": "once", "once": "tomorrow"}, "once", "'tomorrow' is no instant"),
    ({"alert_to": "nobody"}, "alert_to", "'nobody' is no e-mail address"),
    ({"raise_percent": "0"}, "raise_percent", "'0' raises nothing"),
    ({"raise_at_most": "3000"}, "raise_percent", "is missing"),
    ({"raise_percent": "10", "raise_at_most": "x"}, "raise_at_most", "'x' is not a number"),
]


@pytest.mark.parametrize(("changes", "field", "words"), WRONG, ids=lambda value: str(value))
def test_what_is_refused_is_said_at_the_input_it_is_about(changes: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(FormRefused) as refused:
        event_of(typed(**changes))
    assert refused.value.field == field
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "it is no JSON"), ("[]", "the event: [] is no object"), ("{}", "accounts: None is no object")],
)
def test_json_that_is_refused_says_why(text: str, words: str) -> None:
    with pytest.raises(FormRefused) as refused:
        event_of(MultiDict({"json": text}))
    assert refused.value.field == "json"
    assert words in str(refused.value)


def test_a_place_that_has_no_input_is_the_forms_own() -> None:
    assert input_of("something.else", typed()) == ""
