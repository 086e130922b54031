"""Suspended records through the API: listed, shown, mended, recycled, discarded."""

from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from mediation.feeds.problems import json_response
from mediation.pipeline import recycling
from mediation.pipeline.mending import Mend, Replacement
from mediation.pipeline.suspense_views import record_json, view_json
from web.api import shapes
from web.api.bodies import instant_of, read_json
from web.api.idempotency import KeptAnswers
from web.api.paging import known_only, limit_of, number_after
from web.refusals import Refused
from web.request import principal_of
from web.routing import STAFF, Route
from web.site import Site
from web.suspended import count_by_reason, in_words, list_open, view_record, wrong_fields

LIST: Final = ("reason", "source", "limit", "after")
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

RecordId = Annotated[int, Meta(ge=1, lt=10**18)]


class SelectionBody(Struct, forbid_unknown_fields=True):
    """Which open records: those of `ids`, or else those that all of the others hold for."""

    ids: Annotated[list[RecordId], Meta(max_length=10_000)] = []
    reason: str | None = None
    source: str | None = None
    line: str | None = None
    """A number that the record names as calling, called or charge_to."""
    arrived_from: shapes.Instant | None = None
    arrived_before: shapes.Instant | None = None
    all: bool = False
    """Every open record, where nothing else is given: it has to be said."""

    def selection(self) -> recycling.Selection:
        """As it is understood behind the API. Raises Refused."""
        others = (self.reason, self.source, self.line, self.arrived_from, self.arrived_before)
        if self.ids and (self.all or any(other is not None for other in others)):
            raise Refused(422, "ids: they are chosen one by one; leave the other fields out")
        if not (self.ids or self.all or any(other is not None for other in others)):
            raise Refused(422, 'nothing is chosen: give ids, reason, source, line or arrived_…, or "all": true')
        return recycling.Selection(
            tuple(self.ids), self.reason, self.source, self.line,
            instant_of("arrived_from", self.arrived_from), instant_of("arrived_before", self.arrived_before),
        )  # fmt: skip


class DiscardBody(SelectionBody, forbid_unknown_fields=True, kw_only=True):
    """Which open records, and why they are left out for good."""

    remark: Annotated[str, Meta(min_length=1, max_length=1_000)]


class ReplacementBody(Struct, forbid_unknown_fields=True):
    """A field is set to `new` where it holds `old`; numbers of lines are compared as such."""

    field: str
    old: str
    new: str


class MendBody(Struct, forbid_unknown_fields=True):
    """What to change: fields, or the whole line."""

    set: dict[str, str] = {}
    """Fields and their new values; an empty one takes the field away."""
    replace: list[ReplacementBody] = []
    line: str | None = None
    """A line to be read instead."""
    ndjson: bool = False
    """`line` is in the native format, whatever format the record came in."""
    recycle: bool = False
    """And process the record again then."""

    def mend(self) -> Mend:
        """As it is understood behind the API. Raises Refused."""
        if self.line is not None and (self.set or self.replace):
            raise Refused(422, "line: it replaces all fields; leave set and replace out")
        line = None if self.line is None else self.line.encode("utf-8", "replace")
        if line is not None and (b"\n" in line or b"\r" in line):
            raise Refused(422, "line: it is one line, without its end")
        replace = tuple(Replacement(one.field, one.old, one.new) for one in self.replace)
        return Mend(self.set, replace, line, self.ndjson)


class SuspenseAPI:
    """`/api/v1/suspense`."""

    def __init__(self, site: Site, kept: KeptAnswers) -> None:
        self._site = site
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        path, once = "/api/v1/suspense", self._kept.guarded
        return (
            Route(
                "GET", path, self._list, STAFF, "Open records in the order of their arrival, and their reasons",
                answer=msgspec.json.schema(shapes.SuspendedPage), query=LIST,
            ),
            Route(
                "GET", path + "/{id:[0-9]{1,18}}", self._one, STAFF, "A record as it came and as it was understood",
                answer=msgspec.json.schema(shapes.SuspendedView),
            ),
            Route(
                "POST", path + "/{id:[0-9]{1,18}}/mend", once(self._mend), STAFF, "Mend a record, and perhaps recycle",
                answer=msgspec.json.schema(shapes.MendedAnswer), takes=msgspec.json.schema(MendBody),
            ),
            Route(
                "POST", path + "/recycle", once(self._recycle), STAFF, "Process records again",
                answer=msgspec.json.schema(shapes.RecycledAnswer), takes=msgspec.json.schema(SelectionBody),
            ),
            Route(
                "POST", path + "/discard", once(self._discard), STAFF, "Leave records out for good, with a remark",
                answer=msgspec.json.schema(shapes.DiscardedAnswer), takes=msgspec.json.schema(DiscardBody),
            ),
        )  # fmt: skip

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, *LIST)
        query = request.query
        page = await list_open(
            self._site, query.get("reason") or None, query.get("source") or None, number_after(query) or 0,
            limit_of(query),
        )  # fmt: skip
        items = [record_json(row.record, row.source) for row in page.rows]
        return json_response({"items": items, "next": page.next, "reasons": await count_by_reason(self._site)})

    async def _one(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        body = _encode(await self._shown(int(request.match_info["id"])))
        return web.Response(body=body, content_type="application/json")

    async def _mend(self, request: web.Request) -> web.StreamResponse:
        number, actor = int(request.match_info["id"]), principal_of(request).actor
        body = await read_json(request, MendBody)
        mend, record = body.mend(), (await view_record(self._site, number)).record
        if record.state != "open":
            raise Refused(409, f"record {number} is {record.state}: only open ones can be mended")
        selection, recycled = recycling.Selection((number,)), None
        with in_words():
            mended = await self._site.recycler.mend(selection, mend, actor)
            if mended.refused:
                raise Refused(422, f"{mended.refusals[0].words}; the record is as it was")
            if body.recycle:
                recycled = _recycled(await self._site.recycler.recycle(selection, actor))
        answer = {"mended": mended.mended, "recycled": recycled, "record": await self._shown(number)}
        return web.Response(body=_encode(answer), content_type="application/json")

    async def _recycle(self, request: web.Request) -> web.StreamResponse:
        selection = (await read_json(request, SelectionBody)).selection()
        with in_words():
            done = await self._site.recycler.recycle(selection, principal_of(request).actor)
        return json_response(_recycled(done))

    async def _discard(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request, DiscardBody)
        with in_words():
            done = await self._site.recycler.discard(body.selection(), principal_of(request).actor, body.remark)
        return json_response(shapes.DiscardedAnswer(done))

    async def _shown(self, number: int) -> dict[str, Any]:
        view = await view_record(self._site, number)
        wrong = wrong_fields(view.record.reason, view.understood.fields, view.understood.refused)
        return view_json(view) | {"wrong": list(wrong) if view.record.state == "open" else []}


def _recycled(done: recycling.Recycled) -> shapes.RecycledAnswer:
    return shapes.RecycledAnswer(
        done.tried, done.recycled, done.duplicates, done.still_open, done.by_reason_before, done.by_reason_after
    )
