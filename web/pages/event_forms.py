"""The form of an account event: what was typed made into the contract's JSON, and a definition shown as typed. Pure.

The form knows less than the contract. What it cannot say (`form_of` gives None) is written as JSON instead.
"""

import re
from typing import Any, Final

import msgspec
from multidict import MultiDict, MultiMapping

from control.events.definition import MEASURES, EventDefinition, as_json
from control.events.definition_json import parse_event
from control.events.json_fields import DefinitionError
from web.pages.suspense_forms import FormRefused

OFFERED: Final = tuple(measure for measure in MEASURES if measure != "sessions")
"""What the form measures: nothing counts open sessions in this version."""
CONDITIONS: Final = ("1", "2", "3")
"""Names of the conditions that the form has room for, as the names of their inputs end."""
LONGEST: Final = 100_000
_FILTERS: Final = ("service", "line", "called", "place")
_INPUTS: Final = {
    "above": "value", "at_least": "value", "above_credit_limit": "comparison", "above_average": "percent",
    "above_average.months": "months", "above_average.percent": "percent", "called_country": "country",
    "called_country_not_in": "country",
}  # fmt: skip
"""Inputs of a condition that are not called as the key of the JSON is."""
_PLACES: Final = (
    ("name", "name"), ("accounts.segment", "segment"), ("accounts", "numbers"), ("check.every", "every"),
    ("check.once", "once"), ("check", "check"), ("alert", "alert_to"),
)  # fmt: skip
_IN_CONDITION: Final = re.compile(r"when(?:\.(?:any|all)\[(\d+)\])?(?:\.([\w.]+)(?:\[\d+\])?)?")
_IN_RESPONSE: Final = {"percent": "raise_percent", "at_most": "raise_at_most"}


def event_of(form: MultiMapping[str]) -> EventDefinition:
    """The event that a form prescribes: of its JSON, if it carries that, or of its inputs. Raises FormRefused."""
    if "json" in form:
        return _event_of_json(form["json"])
    try:
        return parse_event(document_of(form))
    except DefinitionError as error:
        raise FormRefused(input_of(error.path, form), f"{error.what}; {error.remedy}") from None


def _event_of_json(text: str) -> EventDefinition:
    if len(text) > LONGEST:
        raise FormRefused("json", f"it is longer than {LONGEST} characters")
    try:
        return parse_event(msgspec.json.decode(text.encode("utf-8", "replace")))
    except msgspec.DecodeError as error:
        raise FormRefused("json", f"it is no JSON: {error}") from None
    except DefinitionError as error:
        raise FormRefused("json", str(error)) from None


def document_of(form: MultiMapping[str]) -> dict[str, Any]:
    """The JSON that the inputs say; not checked beyond what the form itself wants. Raises FormRefused."""
    conditions = [_condition(form, slot) for slot in used(form)]
    if not conditions:
        raise FormRefused("measure.1", "choose what is measured")
    how = "all" if _text(form, "how") == "all" else "any"
    document: dict[str, Any] = {
        "accounts": _accounts(form),
        "when": conditions[0] if len(conditions) == 1 else {how: conditions},
        "check": _check(form),
    }
    if not _text(form, "name"):
        raise FormRefused("name", "give it a name")
    document["name"] = _text(form, "name")
    if alerts := _alerts(form):
        document["alert"] = alerts
    if responses := _responses(form):
        document["respond"] = responses
    return document


def used(form: MultiMapping[str]) -> list[str]:
    """The conditions that are filled in. A measure makes one, and so does anything typed beside none."""
    typed = (*_FILTERS, "country", "value", "months", "percent")
    return [slot for slot in CONDITIONS if any(_text(form, f"{name}.{slot}") for name in ("measure", *typed))]


def input_of(path: str, form: MultiMapping[str]) -> str:
    """The input that a refused place of the JSON came from; empty where that is none."""
    if found := _IN_CONDITION.fullmatch(path):
        slots, key = used(form), found[2] or "measure"
        slot = slots[int(found[1] or 0)]
        key = _INPUTS.get(key, key)
        return f"{key}.{slot}"
    if path.startswith("respond"):
        return _IN_RESPONSE.get(path.rpartition(".")[2], "services")
    return next((name for place, name in _PLACES if path.startswith(place)), "")


def form_of(definition: EventDefinition) -> MultiDict[str] | None:
    """What would be typed for an event; None for one that the form cannot say."""
    document = as_json(definition)
    if any(condition.measure not in OFFERED for condition in definition.conditions):
        return None
    try:
        form = _typed(document)
        again = as_json(parse_event(document_of(form)))
    except (FormRefused, DefinitionError, KeyError, IndexError):
        return None
    return form if _plain(again) == _plain(document) else None


def json_of(definition: EventDefinition) -> str:
    """An event's JSON, for people to read and change."""
    return msgspec.json.format(msgspec.json.encode(as_json(definition)), indent=2).decode()


# Inputs to JSON.


def _accounts(form: MultiMapping[str]) -> dict[str, Any]:
    match _text(form, "scope"):
        case "all":
            return {"all": True}
        case "segment":
            if not _text(form, "segment"):
                raise FormRefused("segment", "name the segment")
            return {"segment": _text(form, "segment")}
    numbers = _listed(form, "numbers")
    if not numbers:
        raise FormRefused("numbers", "give one account number or more")
    return {"numbers": numbers}


def _condition(form: MultiMapping[str], slot: str) -> dict[str, Any]:
    def typed(name: str) -> str:
        return _text(form, f"{name}.{slot}")

    if not typed("measure"):
        raise FormRefused(f"measure.{slot}", "choose what is measured, or empty the rest of this condition")
    condition: dict[str, Any] = {"measure": typed("measure")}
    condition |= {name: typed(name) for name in _FILTERS if typed(name)}
    countries = _listed(form, f"country.{slot}")
    if countries:
        outside = typed("outside") == "yes"
        key = "called_country_not_in" if outside else "called_country"
        condition[key] = countries[0] if len(countries) == 1 and not outside else countries
    if typed("period"):
        condition["period"] = typed("period")
    match typed("comparison"):
        case "above_credit_limit":
            condition["above_credit_limit"] = True
        case "above_average":
            for name, words in (("months", "how many periods the average is of"), ("percent", "how many percent")):
                if not typed(name):
                    raise FormRefused(f"{name}.{slot}", f"say {words}")
            months = typed("months")
            number = int(months) if re.fullmatch("[0-9]{1,4}", months) else months
            condition["above_average"] = {"months": number, "percent": typed("percent")}
        case comparison:
            if not typed("value"):
                raise FormRefused(f"value.{slot}", "give a number to compare with")
            condition["at_least" if comparison == "at_least" else "above"] = typed("value")
    return condition


def _check(form: MultiMapping[str]) -> dict[str, Any]:
    match _text(form, "check"):
        case "every":
            return {"every": _text(form, "every") or True}
        case "once":
            if not _text(form, "once"):
                raise FormRefused("once", "say when, such as 2026-12-01T00:00:00Z")
            return {"once": _text(form, "once")}
    return {"continuous": True}


def _alerts(form: MultiMapping[str]) -> list[dict[str, str]]:
    alerts = []
    for who, to in (("account", None), ("provider", "provider")):
        if when := _text(form, f"alert_{who}"):
            alerts.append({"by": "email", **({} if to is None else {"to": to}), "when": when})
    when = _text(form, "alert_to_when") or "fired"
    return alerts + [{"by": "email", "to": to, "when": when} for to in _listed(form, "alert_to")]


def _responses(form: MultiMapping[str]) -> list[dict[str, Any]]:
    responses: list[dict[str, Any]] = []
    if services := _listed(form, "services"):
        responses.append({"do": "bar", "services": services, "until": _text(form, "until") or "cleared"})
    if _text(form, "raise_percent") or _text(form, "raise_at_most"):
        responses.append({"do": "raise-credit-limit", "percent": _text(form, "raise_percent") or None})
        if at_most := _text(form, "raise_at_most"):
            responses[-1]["at_most"] = at_most
    return responses


# JSON to inputs. What finds no room is noticed by `form_of`, which goes the way back.


def _typed(document: dict[str, Any]) -> MultiDict[str]:
    form = MultiDict[str]({"name": document["name"]})
    accounts = document["accounts"]
    form["scope"] = next(iter(accounts))
    form["numbers"] = "\n".join(accounts.get("numbers", ()))
    form["segment"] = accounts.get("segment", "")
    when = document["when"]
    form["how"] = "all" if "all" in when else "any"
    conditions = when.get("any") or when.get("all") or [when]
    for slot, condition in zip(CONDITIONS, conditions, strict=False):
        form.update({f"{name}.{slot}": text for name, text in _typed_condition(condition).items()})
    ((form["check"], value),) = document["check"].items()
    if value is not True:
        form[form["check"]] = value
    _type_actions(form, document)
    return form


def _typed_condition(condition: dict[str, Any]) -> dict[str, str]:
    typed: dict[str, str] = {
        name: str(condition[name]) for name in ("measure", "period", *_FILTERS) if name in condition
    }
    for key in ("called_country", "called_country_not_in"):
        if key in condition:
            countries = condition[key]
            typed["country"] = countries if isinstance(countries, str) else ", ".join(countries)
            typed["outside"] = "yes" if key == "called_country_not_in" else ""
    typed["comparison"] = next(
        (key for key in ("above", "at_least", "above_credit_limit", "above_average") if key in condition), ""
    )
    if typed["comparison"] in ("above", "at_least"):
        typed["value"] = str(condition[typed["comparison"]])
    if average := condition.get("above_average"):
        typed |= {"months": str(average["months"]), "percent": str(average["percent"])}
    return typed


def _type_actions(form: MultiDict[str], document: dict[str, Any]) -> None:
    addresses = []
    for alert in document.get("alert", ()):
        to = alert.get("to")
        if to in (None, "provider"):
            form["alert_provider" if to else "alert_account"] = alert["when"]
        else:
            addresses.append(to)
            form["alert_to_when"] = alert["when"]
    form["alert_to"] = ", ".join(addresses)
    for response in document.get("respond", ()):
        match response["do"]:
            case "bar":
                form["services"], form["until"] = ", ".join(response["services"]), response["until"]
            case "raise-credit-limit":
                form["raise_percent"] = str(response["percent"])
                form["raise_at_most"] = str(response.get("at_most", ""))


def _plain(value: Any) -> Any:
    """The same, with numbers as texts: the form writes them so."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _listed(form: MultiMapping[str], name: str) -> list[str]:
    return [part for text in re.split(r"[,;\n]", form.get(name, "")) if (part := text.strip())]


def _text(form: MultiMapping[str], name: str) -> str:
    return form.get(name, "").strip()
