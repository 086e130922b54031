"""Access monitor and control, for staff: account events, prescribed, paused, taken up again and deleted."""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from yarl import URL

from control.control_room import Refused as ChangeRefused
from control.events.event_rows import State, StoredEvent
from control.events.preview import Preview
from control.events.sentence import describe
from control.events.unserved import warnings_of
from control.events.windows import PERIODS
from web.pages.event_forms import CONDITIONS, OFFERED, event_of, form_of, json_of
from web.pages.orders import number_in
from web.pages.suspense_forms import FormRefused
from web.previewing import previewed
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import STAFF, Route
from web.site import Site

ROWS: Final = 100
STATES: Final[dict[str, State]] = {"pause": "paused", "resume": "active", "delete": "deleted"}
"""Buttons, and the state that each leads to."""
PREVIEW: Final = "preview"
"""The button that tries an event and makes none."""
FRESH: Final = {
    "scope": "numbers", "how": "any", "check": "continuous", "measure.1": "charges", "period.1": "bill-cycle",
    "comparison.1": "above", "until": "cleared",
}  # fmt: skip
"""What stands in the form of a new event."""
MEASURE_WORDS: Final = {
    "charges": "charges", "minutes": "minutes", "calls": "calls", "sessions": "open sessions of one user name",
    "charge": "the charge of a single call",
}  # fmt: skip
COMPARISONS: Final = {
    "above": "above", "at_least": "at least", "above_credit_limit": "above the credit limit",
    "above_average": "above its average",
}  # fmt: skip
UNTIL: Final = {"cleared": "the condition is false", "period-end": "the period ends", "restored": "somebody restores"}
WHEN: Final = {"fired": "when it fires", "confirmed": "once the bars are confirmed"}


class MonitorPages:
    """`/monitor`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        one = "/monitor/{event:[0-9]{1,18}}"
        return (
            Route("GET", "/monitor", self._list, STAFF, "Account events with their state and last firing"),
            Route("POST", "/monitor/state", self._set_state, STAFF, "Pause, resume or delete chosen account events"),
            Route("GET", "/monitor/new", self._fresh, STAFF, "The form of a new account event"),
            Route("POST", "/monitor/new", self._add, STAFF, "Prescribe an account event"),
            Route("GET", one, self._one, STAFF, "An account event, to be changed"),
            Route("POST", one, self._change, STAFF, "Prescribe something else"),
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return await self._list_page(request)

    async def _list_page(
        self, request: web.Request, refused: FormRefused | None = None, ticked: Collection[str] = ()
    ) -> web.Response:
        after = request.query.get("after", "")
        start = int(after) if after.isascii() and after.isdigit() and len(after) <= 18 else 0
        events = await self._site.room.events(start, ROWS + 1)
        shown = events[:ROWS]
        done, count = request.query.get("done", ""), request.query.get("count", "")
        context = {
            "warned": await self._warned(number_in(request.query, "warned")),
            "done": done if done in STATES and count.isascii() and count.isdigit() and len(count) < 9 else "",
            "count": count,
            "events": [(event, describe(event.definition)) for event in shown],
            "fired": await self._site.readers.read(_last_firings),
            "next_after": shown[-1].id if len(events) > ROWS else None,
            "after": start,
            "refused": refused,
            "ticked": ticked,
        }
        return render(request, "monitor.html", context)

    async def _set_state(self, request: web.Request) -> web.StreamResponse:
        form = await typed_form(request)
        chosen = [text for text in form.getall("id", []) if text.isascii() and text.isdigit() and len(text) <= 18]
        state = STATES.get(form.get("do", ""))
        if state is None or not chosen:
            return await self._list_page(request, FormRefused("id", "no account event is chosen: tick some"))
        try:
            for number in chosen:
                await self._site.room.set_event_state(int(number), state, principal_of(request).actor)
        except ChangeRefused as refused:
            return await self._list_page(request, FormRefused("id", str(refused)), chosen)
        raise web.HTTPSeeOther(URL("/monitor").with_query(done=form["do"], count=len(chosen)))

    # One event.

    async def _fresh(self, request: web.Request) -> web.StreamResponse:
        if "json" in request.query:
            return self._form_page(request, MultiDict({"json": ""}), None)
        account = request.query.get("account", "")[:100]
        return self._form_page(request, MultiDict({**FRESH, "numbers": account}), None)

    async def _add(self, request: web.Request) -> web.StreamResponse:
        form = await typed_form(request)
        if form.get("do") == PREVIEW:
            return await self._preview(request, form, None)
        try:
            made = await self._site.room.add_event(event_of(form), principal_of(request).actor)
        except FormRefused as refused:
            return self._form_page(request, form, None, refused)
        except ChangeRefused as refused:
            return self._form_page(request, form, None, _in_form(refused, form))
        raise await self._saved(made)

    async def _one(self, request: web.Request) -> web.StreamResponse:
        event = await self._event(request)
        form = None if "json" in request.query else form_of(event.definition)
        warnings = await self._site.readers.read(warnings_of, event.definition)
        shown = MultiDict({"json": json_of(event.definition)}) if form is None else form
        return self._form_page(request, shown, event, warnings=warnings)

    async def _change(self, request: web.Request) -> web.StreamResponse:
        form, event = await typed_form(request), await self._event(request)
        if form.get("do") == PREVIEW:
            return await self._preview(request, form, event)
        try:
            if form.get("seen") != str(event.changed_at):
                raise FormRefused("", "somebody has changed the event since: look at it, and change it again")
            changed = await self._site.room.change_event(event.id, event_of(form), principal_of(request).actor)
        except FormRefused as refused:
            return self._form_page(request, form, event, refused)
        except ChangeRefused as refused:
            return self._form_page(request, form, event, _in_form(refused, form))
        raise await self._saved(changed)

    async def _saved(self, event: StoredEvent) -> web.HTTPSeeOther:
        """To the list, which tells what of the event has no effect as things stand."""
        warned = await self._site.readers.read(warnings_of, event.definition)
        return web.HTTPSeeOther(URL("/monitor").with_query({"warned": event.id} if warned else {}))

    async def _warned(self, number: int | None) -> tuple[StoredEvent, list[str]] | None:
        """The event that was just saved, if there is something to tell of it."""
        event = None if number is None else await self._site.room.event(number)
        warnings = [] if event is None else await self._site.readers.read(warnings_of, event.definition)
        return (event, warnings) if event is not None and warnings else None

    async def _preview(
        self, request: web.Request, form: MultiMapping[str], event: StoredEvent | None
    ) -> web.StreamResponse:
        """The form as it is filled in, and what it would have fired for. Nothing is prescribed."""
        try:
            definition = event_of(form)
            preview = await previewed(self._site, definition)
            warnings = await self._site.readers.read(warnings_of, definition)
            return self._form_page(request, form, event, preview=preview, warnings=warnings)
        except FormRefused as refused:
            return self._form_page(request, form, event, refused)
        except ChangeRefused as refused:
            return self._form_page(request, form, event, _in_form(refused, form))

    async def _event(self, request: web.Request) -> StoredEvent:
        event = await self._site.room.event(int(request.match_info["event"]))
        if event is None:
            raise NotFound
        return event

    @staticmethod
    def _form_page(
        request: web.Request,
        form: MultiMapping[str],
        event: StoredEvent | None,
        refused: FormRefused | None = None,
        preview: Preview | None = None,
        warnings: Sequence[str] = (),
    ) -> web.Response:
        # What is refused comes with status 200: the form is there again, with what was typed.
        context: dict[str, Any] = {
            "form": form,
            "event": event,
            "words": describe(event.definition) if event else "",
            "has_form": event is None or form_of(event.definition) is not None,
            "refused": refused,
            "preview": preview,
            "warnings": warnings,
            "asked": form.get("do", ""),
            "is_typed": request.method == "POST",
            "slots": CONDITIONS,
            "measures": {name: MEASURE_WORDS[name] for name in OFFERED},
            "periods": {name: name.replace("-", " ") for name in PERIODS},
            "comparisons": COMPARISONS,
            "until": UNTIL,
            "when": WHEN,
        }
        return render(request, "monitor_event.html", context)


def _in_form(refused: ChangeRefused, form: MultiMapping[str]) -> FormRefused:
    """What is wrong with an event as a whole: an account that is not there, named by the path of its JSON."""
    place, _, words = str(refused).partition(": ")
    if "json" in form:
        return FormRefused("json", str(refused))
    return FormRefused("numbers", words) if place == "accounts.numbers" else FormRefused("", str(refused))


def _last_firings(cx: sqlite3.Connection) -> dict[int, tuple[int, int]]:
    """Of each event that fired: when last, and how often."""
    rows = cx.execute("SELECT event, max(fired_at), count(*) FROM firings WHERE shard = 0 GROUP BY event")
    return {event: (last, count) for event, last, count in rows}
