"""Account events through the API: prescribed, changed, paused and deleted, in the JSON of the contract."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from aiohttp import web

from control import control_room
from control.events.definition import EventDefinition, as_json
from control.events.definition_json import parse_event
from control.events.evaluation import instant_text
from control.events.event_rows import State, StoredEvent, event_json
from control.events.json_fields import DefinitionError
from control.events.preview import Preview
from control.events.unserved import warnings_of
from mediation.feeds.problems import json_response
from web.api import control_shapes
from web.api.bodies import read_json
from web.api.idempotency import KeptAnswers
from web.api.paging import known_only, limit_of, number_after
from web.previewing import previewed
from web.refusals import NotFound, Refused
from web.request import principal_of
from web.routing import STAFF, Handler, Route
from web.site import Site

PATH: Final = "/api/v1/account-events"
WARNINGS: Final = "warnings"
TAKES: Final = {
    "type": "object",
    "description": "accounts, name, when, check, alert and respond; what is wrong is refused with its path.",
    "required": ["accounts", "name", "when"],
    "properties": {
        "accounts": {"type": "object", "description": "numbers, segment, or all."},
        "name": {"type": "string"},
        "when": {"type": "object", "description": "A condition, or any or all of several."},
        "check": {"type": "object", "description": "continuous, every, or once."},
        "alert": {"type": "array", "items": {"type": "object"}},
        "respond": {"type": "array", "items": {"type": "object"}},
    },
}


class AccountEventsAPI:
    """`/api/v1/account-events`."""

    def __init__(self, site: Site, kept: KeptAnswers) -> None:
        self._site = site
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        one, once = PATH + "/{event:[0-9]{1,18}}", self._kept.guarded
        answer = msgspec.json.schema(control_shapes.EventAnswer)
        return (
            Route(
                "GET", PATH, self._list, STAFF, "Account events that are not deleted, by id",
                answer=msgspec.json.schema(control_shapes.EventPage), query=("limit", "after"),
            ),
            Route(
                "POST", PATH, once(self._add), STAFF, "Prescribe an account event, active at once",
                answer=answer, takes=TAKES, done=201,
            ),
            Route(
                "POST", PATH + "/preview", once(self._preview), STAFF,
                "When an account event would have fired over the last three months; nothing is prescribed",
                answer=msgspec.json.schema(control_shapes.PreviewAnswer), takes=TAKES,
            ),
            Route("GET", one, self._one, STAFF, "An account event", answer=answer),
            Route("PUT", one, once(self._change), STAFF, "Prescribe something else", answer=answer, takes=TAKES),
            Route(
                "DELETE", one, once(self._become("deleted")), STAFF,
                "Delete an account event; what it barred until its condition is false is given back", answer=answer,
            ),
            Route(
                "POST", one + "/pause", once(self._become("paused")), STAFF, "Stop looking at an account event",
                answer=answer,
            ),
            Route(
                "POST", one + "/resume", once(self._become("active")), STAFF, "Take a paused account event up again",
                answer=answer,
            ),
        )  # fmt: skip

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "limit", "after")
        limit, after = limit_of(request.query), number_after(request.query) or 0
        found = await self._site.room.events(after, limit + 1)
        more = str(found[limit - 1].id) if len(found) > limit else None
        return json_response({"items": [event_json(event) for event in found[:limit]], "next": more})

    async def _one(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        return json_response(event_json(await self._found(request)))

    async def _add(self, request: web.Request) -> web.StreamResponse:
        definition = _definition(await read_json(request, dict[str, Any]))
        with _in_words():
            event = await self._site.room.add_event(definition, principal_of(request).actor)
        answer = json_response(event_json(event) | await self._warned(definition), status=201)
        answer.headers["Location"] = f"{PATH}/{event.id}"
        return answer

    async def _preview(self, request: web.Request) -> web.StreamResponse:
        definition = _definition(await read_json(request, dict[str, Any]))
        with _in_words():
            return json_response(_told(await previewed(self._site, definition), await self._warned(definition)))

    async def _change(self, request: web.Request) -> web.StreamResponse:
        was = await self._found(request)
        document, shown = await read_json(request, dict[str, Any]), event_json(was)
        # What was read may be sent back with a change: what else an answer tells is left out where it is as it was.
        told = shown.keys() - as_json(was.definition).keys()
        document = {key: value for key, value in document.items() if key not in told or value != shown[key]}
        document.pop(WARNINGS, None)
        definition = _definition(document)
        with _in_words():
            event = await self._site.room.change_event(was.id, definition, principal_of(request).actor)
        return json_response(event_json(event) | await self._warned(definition))

    def _become(self, state: State) -> Handler:
        """What brings an event into a state; one that is in it already stays there."""

        async def become(request: web.Request) -> web.StreamResponse:
            event = await self._found(request)
            if event.state != state:
                with _in_words():
                    event = await self._site.room.set_event_state(event.id, state, principal_of(request).actor)
            return json_response(event_json(event))

        return become

    async def _warned(self, definition: EventDefinition) -> dict[str, list[str]]:
        """What is to be told of an event that was just written; nothing where there is nothing."""
        warnings = await self._site.readers.read(warnings_of, definition)
        return {WARNINGS: warnings} if warnings else {}

    async def _found(self, request: web.Request) -> StoredEvent:
        """The event of the path. Raises NotFound."""
        event = await self._site.room.event(int(request.match_info["event"]))
        if event is None:
            raise NotFound
        return event


def _told(preview: Preview, warned: Mapping[str, list[str]]) -> control_shapes.PreviewAnswer:
    fired = [
        control_shapes.WouldFire(
            one.account, instant_text(one.fired_at), one.transaction, instant_text(one.period_start),
            instant_text(one.period_end), one.threshold, one.trace,
        )
        for one in preview.fired
    ]  # fmt: skip
    return control_shapes.PreviewAnswer(
        instant_text(preview.since), instant_text(preview.until), preview.accounts, preview.looked_at,
        preview.transactions, preview.stopped or None, preview.count, preview.fired_for, fired, **warned,
    )  # fmt: skip


def _definition(document: object) -> EventDefinition:
    try:
        return parse_event(document)
    except DefinitionError as error:
        raise Refused(422, str(error)) from None


@contextmanager
def _in_words() -> Iterator[None]:
    """What control refuses is refused."""
    try:
        yield
    except control_room.Refused as refused:
        raise Refused(422, str(refused)) from None
