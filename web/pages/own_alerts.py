"""A customer's own alerts: thresholds on the own use, that are told by e-mail when they are crossed."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from yarl import URL

from control.control_room import Refused as ChangeRefused
from control.events.definition import EventDefinition
from control.events.event_rows import State
from control.events.own_alerts import MOST, OwnAlert, is_own, of_account
from control.events.windows import PERIODS
from rating.account import Account, Line
from rating.store.account_list import lines_with_services
from web.pages.event_forms import event_of
from web.pages.suspense_forms import FormRefused
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import CUSTOMER, Route
from web.site import Site

PATH: Final = "/alerts"
MEASURES: Final = {
    "charges": "charges", "minutes": "minutes", "calls": "calls", "charge": "the charge of a single call",
}  # fmt: skip
STATES: Final[dict[str, State]] = {"pause": "paused", "resume": "active", "delete": "deleted"}
"""Buttons, and the state that each leads to."""
FRESH: Final = {"measure": "charges", "period": "bill-cycle"}
_FIELDS: Final = ("measure", "value", "period", "line", "service", "called")
_OFFERED_LINES: Final = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of an account's alerts, and what they can be about."""

    alerts: list[OwnAlert]
    lines: list[Line]


class OwnAlertPages:
    """`/alerts`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", PATH, self._list, CUSTOMER, "The own alerts: thresholds, and when each was last sent"),
            Route("POST", PATH, self._add, CUSTOMER, "Be told when the own use crosses a threshold"),
            Route("POST", f"{PATH}/state", self._set_state, CUSTOMER, "Pause, resume or delete an own alert"),
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, MultiDict(FRESH), None)

    async def _page(
        self, request: web.Request, form: MultiMapping[str], refused: FormRefused | None
    ) -> web.StreamResponse:
        account = self._own(request)
        kept: Kept = await self._site.readers.read(_kept, account.account)
        done = request.query.get("done", "")
        context = {
            "account": account,
            "alerts": kept.alerts,
            "most": MOST,
            "lines": list(dict.fromkeys(line.line for line in kept.lines))[:_OFFERED_LINES],
            "services": {line.service: line.service for line in kept.lines},
            "measures": MEASURES,
            "periods": {name: name.replace("-", " ") for name in PERIODS},
            "form": form,
            "refused": refused,
            "done": done if done in STATES or done == "added" else "",
        }
        return render(request, "alerts.html", context)

    async def _add(self, request: web.Request) -> web.StreamResponse:
        account, form = self._own(request), await typed_form(request)
        try:
            definition = alert_of(form, account)
            kept: Kept = await self._site.readers.read(_kept, account.account)
            _check(definition, kept)
            await self._site.room.add_event(definition, principal_of(request).actor)
        except FormRefused as refused:
            return await self._page(request, form, refused)
        except ChangeRefused as refused:
            return await self._page(request, form, FormRefused("", str(refused)))
        raise web.HTTPSeeOther(URL(PATH).with_query(done="added"))

    async def _set_state(self, request: web.Request) -> web.StreamResponse:
        account, form = self._own(request), await typed_form(request)
        do = next((do for do in STATES if do in form), "")
        kept: Kept = await self._site.readers.read(_kept, account.account)
        event = next((one.event for one in kept.alerts if str(one.event.id) == form.get(do, "")), None)
        if event is None:  # not there, deleted meanwhile, or somebody else's: who asks cannot tell which
            raise NotFound
        try:
            await self._site.room.set_event_state(event.id, STATES[do], principal_of(request).actor)
        except ChangeRefused:
            raise NotFound from None
        raise web.HTTPSeeOther(URL(PATH).with_query(done=do))

    def _own(self, request: web.Request) -> Account:
        account = self._site.directory.accounts.get(principal_of(request).account or "")
        if account is None:
            raise NotFound
        return account


def alert_of(form: MultiMapping[str], account: Account) -> EventDefinition:
    """The account event that the form of an own alert prescribes. Raises FormRefused, with the name of the input."""
    if not account.email:
        words = "no e-mail address is known of you: tell the service provider one, and come back"
        raise FormRefused("", words)
    typed = {name: form.get(name, "").strip() for name in _FIELDS}
    if typed["measure"] not in MEASURES:
        raise FormRefused("measure", "choose what is counted")
    named = form.get("name", "").strip()
    words = f"{MEASURES[typed['measure']].capitalize()} above {typed['value']} in a {typed['period'].replace('-', ' ')}"
    whole = {f"{name}.1": text for name, text in typed.items()} | {
        "name": named or words, "scope": "numbers", "numbers": account.account, "comparison.1": "above",
        "check": "continuous", "alert_account": "fired",
    }  # fmt: skip
    try:
        definition = event_of(MultiDict(whole))
    except FormRefused as refused:
        raise FormRefused(refused.field.removesuffix(".1"), str(refused)) from None
    assert is_own(definition, account.account)
    return definition


def _check(definition: EventDefinition, kept: Kept) -> None:
    """Raises FormRefused for what would never come true, is there already, or is one too many."""
    (condition,) = definition.conditions
    filters = condition.filters
    if filters.line is not None and filters.line not in {line.line for line in kept.lines}:
        raise FormRefused("line", "that is none of your lines: choose one, or leave it empty for all")
    if filters.service is not None and filters.service not in {line.service for line in kept.lines}:
        raise FormRefused("service", "none of your lines has that service")
    if any(one.event.definition.when == definition.when for one in kept.alerts):
        raise FormRefused("", "there is such an alert already: look at the list below")
    if len(kept.alerts) >= MOST:
        raise FormRefused("", f"there are {MOST} alerts already: delete one of them first")


def _kept(cx: sqlite3.Connection, account: str) -> Kept:
    """One read."""
    return Kept(of_account(cx, account), lines_with_services(cx, account))
