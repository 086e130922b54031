"""The JSON of account events: read and given back, refused in words, said in a sentence."""

from typing import Any

import pytest

from control.events.definition import as_json
from control.events.definition_json import parse_event
from control.events.json_fields import DefinitionError
from control.events.sentence import describe
from tests.builders import micros
from tests.event_site import an_event, charges

CONTRACT: dict[str, Any] = {
    "accounts": {"numbers": ["4000012345"]},
    "name": "LD over credit limit or unusual use",
    "when": {
        "any": [
            {"measure": "charges", "service": "long-distance", "period": "bill-cycle", "above": "2500.00"},
            {"measure": "minutes", "period": "month", "above_average": {"months": 3, "percent": 50}},
        ]
    },
    "check": {"continuous": True},
    "alert": [{"by": "email", "to": "ann@example.com", "when": "confirmed"}],
    "respond": [
        {"do": "bar", "services": ["long-distance", "voice-mail"], "until": "cleared"},
        {"do": "raise-credit-limit", "percent": 10, "at_most": "3000.00"},
        {"do": "disconnect"},
    ],
}

EVERY_FILTER = {
    "service": "data",
    "line": "12125550142",
    "called": "442079460018",
    "place": "London",
    "called_country": "GB",
    "called_country_not_in": ["US", "CA"],
    "type": "premium",
    "device": "imei-1",
}


@pytest.mark.parametrize(
    "document",
    [
        CONTRACT,
        CONTRACT | {"accounts": {"segment": "gold"}},
        CONTRACT | {"accounts": {"all": True}, "check": {"every": "1h"}},
        CONTRACT | {"check": {"every": True}},
        CONTRACT | {"check": {"once": "2026-12-01T00:00:00Z"}},
        CONTRACT | {"alert": [{"by": "fax", "when": "fired"}, {"by": "email", "to": "provider", "when": "fired"}]},
        CONTRACT | {"alert": [{"by": "webhook", "to": "https://hooks.example/1", "when": "fired"}]},
        CONTRACT | {"when": charges(**EVERY_FILTER)},
        CONTRACT | {"when": charges(called_country=["GB", "IE"], at_least=100)},
        CONTRACT | {"when": charges(period="bill-cycle", above_credit_limit=True)},
        CONTRACT | {"when": {"measure": "minutes", "period": "week", "of_average": {"months": 1, "percent": "150.5"}}},
        CONTRACT | {"when": {"measure": "minutes", "period": "hour", "above": 0.1}},
        CONTRACT | {"when": {"all": [charges(), {"any": [charges(period="day"), charges(service="fax")]}]}},
        CONTRACT | {"when": {"measure": "sessions", "period": "bill-cycle", "above": 2}},
        *(CONTRACT | {"when": charges(period=p)} for p in ("bill-cycle", "week", "weekdays", "weekend", "day", "hour")),
    ],
)  # fmt: skip
def test_an_event_is_given_back_as_it_was_written(document: dict[str, Any]) -> None:
    event = parse_event(document)
    assert as_json(event) == document
    assert parse_event(as_json(event)) == event


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ({}, {"check": {"continuous": True}}),
        ({"alert": [{"by": "page"}]}, {"alert": [{"by": "page", "when": "fired"}]}),
        (
            {"respond": [{"do": "bar", "services": ["fax"]}]},
            {"respond": [{"do": "bar", "services": ["fax"], "until": "cleared"}]},
        ),
        (
            {"when": {"measure": "charges", "above_credit_limit": True}},
            {"when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True}},
        ),
        (
            {"when": {"measure": "charge", "above": "50"}},
            {"when": {"measure": "charge", "period": "bill-cycle", "above": "50"}},
        ),
        (
            {"when": charges(called_country_not_in="us", line="+12125550142")},
            {"when": charges(called_country_not_in=["US"], line="12125550142")},
        ),
    ],
)
def test_what_may_be_left_out_has_a_meaning(written: dict[str, Any], stored: dict[str, Any]) -> None:
    document = as_json(parse_event(an_event() | written))
    assert {name: document[name] for name in stored} == stored


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"accounts": None}, "accounts"),
        ({"accounts": {}}, "accounts.numbers"),
        ({"accounts": {"numbers": []}}, "accounts.numbers"),
        ({"accounts": {"numbers": ["1", 2]}}, "accounts.numbers[1]"),
        ({"accounts": {"numbers": ["1"], "all": True}}, "accounts"),
        ({"accounts": {"all": "yes"}}, "accounts.all"),
        ({"accounts": {"all": True, "some": 1}}, "accounts.some"),
        ({"name": None}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"when": None}, "when"),
        ({"when": []}, "when"),
        ({"when": {"any": []}}, "when.any"),
        ({"when": {"any": charges()}}, "when.any"),
        ({"when": {"any": [charges()], "all": [charges()]}}, "when"),
        ({"when": {"any": [charges()], "measure": "charges"}}, "when.measure"),
        ({"when": {"any": [charges(), charges(above="-1")]}}, "when.any[1].above"),
        ({"when": {"any": [{"all": [{"any": [{"all": [charges()]}]}]}]}}, "when.any[0].all[0].any[0]"),
        ({"when": {"any": [charges()] * 17}}, "when.any"),
        ({"when": {"any": [{"any": [charges()] * 9}] * 2}}, "when"),
        ({"when": {"all": [{"any": [charges(above=n) for n in range(4)]}] * 4}}, "when"),
        ({"when": charges(measure="money")}, "when.measure"),
        ({"when": charges(measure=["charges"])}, "when.measure"),
        ({"when": charges(period="year")}, "when.period"),
        ({"when": {"measure": "charges", "above": 1}}, "when.period"),
        ({"when": {"measure": "charges", "period": "month"}}, "when.above"),
        ({"when": charges(above=1, at_least=1)}, "when"),
        ({"when": charges(above=True)}, "when.above"),
        ({"when": charges(above="1e3")}, "when.above"),
        ({"when": charges(above="1,000")}, "when.above"),
        ({"when": charges(at_least=0)}, "when.at_least"),
        ({"when": charges(measure="calls", above="1.5")}, "when.above"),
        ({"when": charges(measure="minutes", above_credit_limit=True)}, "when.above_credit_limit"),
        ({"when": charges(above_credit_limit=False)}, "when.above_credit_limit"),
        ({"when": charges(above_average={"percent": 5})}, "when.above_average.months"),
        ({"when": charges(above_average={"months": 3})}, "when.above_average.percent"),
        ({"when": charges(above_average={"months": 0, "percent": 5})}, "when.above_average.months"),
        ({"when": charges(above_average={"months": 3, "percent": 5, "days": 1})}, "when.above_average.days"),
        ({"when": charges(of_average=3)}, "when.of_average"),
        ({"when": charges(measure="sessions", above_average={"months": 3, "percent": 5})}, "when.above_average"),
        ({"when": charges(servise="fax")}, "when.servise"),
        ({"when": charges(line="next door")}, "when.line"),
        ({"when": charges(called_country="Atlantis")}, "when.called_country"),
        ({"when": charges(called_country_not_in=["US", "XX"])}, "when.called_country_not_in[1]"),
        ({"when": charges(type="directly")}, "when.type"),
        ({"check": {}}, "check.continuous"),
        ({"check": {"every": "1 week"}}, "check.every"),
        ({"check": {"every": "0s"}}, "check.every"),
        ({"check": {"once": "2026-12-01"}}, "check.once"),
        ({"check": {"once": "2026-12-01T00:00:00"}}, "check.once"),
        ({"check": {"continuous": True, "every": "1h"}}, "check"),
        ({"alert": {"by": "email"}}, "alert"),
        ({"alert": [{"to": "ann@example.com"}]}, "alert[0].by"),
        ({"alert": [{"by": "email", "to": "ann"}]}, "alert[0].to"),
        ({"alert": [{"by": "webhook"}]}, "alert[0].to"),
        ({"alert": [{"by": "webhook", "to": "file:///etc/passwd"}]}, "alert[0].to"),
        ({"alert": [{"by": "fax"}, {"by": "fax", "when": "later"}]}, "alert[1].when"),
        ({"respond": [{"do": "shout"}]}, "respond[0].do"),
        ({"respond": [{"do": "bar"}]}, "respond[0].services"),
        ({"respond": [{"do": "bar", "services": "fax"}]}, "respond[0].services"),
        ({"respond": [{"do": "bar", "services": ["fax"], "until": "noon"}]}, "respond[0].until"),
        ({"respond": [{"do": "raise-credit-limit", "percent": 0}]}, "respond[0].percent"),
        ({"respond": [{"do": "raise-credit-limit"}]}, "respond[0].percent"),
        ({"respond": [{"do": "disconnect", "services": ["fax"]}]}, "respond[0].services"),
        ({"enabled": True}, "enabled"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path_and_says_what_to_write(changed: dict[str, Any], path: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        parse_event(an_event() | changed)
    assert refused.value.path == path
    assert refused.value.what
    assert refused.value.remedy
    assert str(refused.value).startswith(f"{path}: ")


@pytest.mark.parametrize("document", [None, [], "event", 3])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(DefinitionError, match="the event"):
        parse_event(document)


def test_a_single_instant_is_read_with_its_offset() -> None:
    event = parse_event(an_event(check={"once": "2026-12-01T01:00:00+01:00"}))
    assert event.check.once_at == micros("2026-12-01T00:00:00Z")


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            CONTRACT,
            (
                "For account 4000012345: when the charges of service long-distance in a bill cycle are above 2500.00 or"
                " the minutes in a month are more than 50 % above the average of the 3 before (checked continuously),"
                " tell ann@example.com by e-mail once the bar is confirmed, bar long-distance and voice-mail until that"
                " is no longer so, raise the credit limit by 10 %, to 3000.00 at most and end the live sessions."
            ),
        ),
        (
            an_event({"measure": "charges", "above_credit_limit": True}, accounts={"segment": "gold"}),
            (
                "For every account of segment gold: when what the account owes is above its credit limit (checked"
                " continuously), write it down, and nothing else."
            ),
        ),
        (
            an_event(
                {"all": [charges(**EVERY_FILTER), {"measure": "calls", "period": "weekend", "at_least": 3}]},
                check={"every": "1h"},
                alert=[{"by": "voicemail"}, {"by": "fax", "to": "provider"}],
            ),
            (
                "For every account: when the charges of type premium of service data of line +12125550142 from device"
                " imei-1 to +442079460018 to London to the United Kingdom to anywhere but the United States and Canada"
                " in a month are above 100.00 and the calls in a weekend are at least 3 (checked every 1h), tell the"
                " account by voice mail and tell the service provider by fax."
            ),
        ),
    ],
)
def test_an_event_is_said_in_one_sentence(document: dict[str, Any], sentence: str) -> None:
    assert describe(parse_event(document)) == sentence
