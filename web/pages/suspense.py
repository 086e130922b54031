"""Suspense, for staff: what could not be processed, by reason; mended, recycled, or discarded with a remark."""

from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping
from yarl import URL

from mediation.pipeline.recycling import Selection
from mediation.pipeline.suspense_views import REASONS, line_text
from rating.store import suspense
from web.pages.suspense_forms import (
    FormRefused,
    field_rows,
    ids_of,
    line_of,
    mend_of,
    number_map_of,
    remark_of,
)
from web.pages.suspense_told import Told, read_told, told_of
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import STAFF, Route
from web.site import Site
from web.suspended import count_by_reason, in_words, list_open, view_record

ROWS: Final = 50
MAPPED: Final = ("calling", "called", "charge_to", "src", "dst", "a", "b")
"""Fields whose numbers can be replaced."""


class SuspensePages:
    """`/suspense`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        one = "/suspense/{id:[0-9]{1,18}}"
        return (
            Route("GET", "/suspense", self._overview, STAFF, "Suspended records by reason, or those of one"),
            Route("POST", "/suspense/recycle", self._recycle, STAFF, "Recycle records, chosen ones or all of a reason"),
            Route("POST", "/suspense/discard", self._discard, STAFF, "Discard chosen records, with a remark"),
            Route("POST", "/suspense/map", self._map, STAFF, "Replace a number in all records of a reason"),
            Route("GET", one, self._one, STAFF, "A suspended record, as it came and as it was understood"),
            Route("POST", one + "/mend", self._mend, STAFF, "Mend fields of a record"),
            Route("POST", one + "/line", self._replace_line, STAFF, "Replace a record's line"),
            Route("POST", one + "/recycle", self._recycle_one, STAFF, "Recycle a record"),
            Route("POST", one + "/discard", self._discard_one, STAFF, "Discard a record, with a remark"),
        )

    # All records, and those of one reason

    async def _overview(self, request: web.Request) -> web.StreamResponse:
        if "reason" in request.query:
            # A link says where to look; it does not fill in forms.
            asked = MultiDict((name, _text(request.query, name)) for name in ("reason", "source", "after"))
            return await self._reason_page(request, asked)
        counts = await count_by_reason(self._site)
        context = {"counts": counts, "reasons": REASONS, "told": read_told(request.query)}
        return render(request, "suspense.html", context)

    async def _reason_page(
        self, request: web.Request, asked: MultiMapping[str], refused: FormRefused | None = None
    ) -> web.Response:
        """Some records of a reason; with what was typed, if a form was refused."""
        reason, source = _text(asked, "reason"), _text(asked, "source") or None
        after = _text(asked, "after")
        counts = await count_by_reason(self._site)
        if reason not in REASONS and reason not in counts:
            raise NotFound
        start = int(after) if after.isascii() and after.isdigit() and len(after) <= 18 else 0
        page = await list_open(self._site, reason, source, start, ROWS)
        here = URL("/suspense").with_query(_given(reason=reason, source=source))
        context = {
            "reason": reason,
            "why": REASONS.get(reason, ""),
            "open": counts.get(reason, 0),
            "source": source or "",
            "after": after,
            "page": page,
            "ticked": set(asked.getall("id", ())),
            "typed": {name: _text(asked, name) for name in ("remark", "map_field", "map_old", "map_new")},
            "then_recycle": refused is None or "then_recycle" in asked,
            "refused": refused,
            "told": read_told(request.query),
            "mapped": MAPPED,
            "first_page": here if start else None,
            "next_page": here.update_query(after=page.next) if page.next else None,
        }
        return render(request, "suspense_reason.html", context)

    async def _recycle(self, request: web.Request) -> web.StreamResponse:
        form = await typed_form(request)
        try:
            if _text(form, "remark").strip():  # Enter in its field presses the form's first button
                raise FormRefused("remark", "a remark is for discarding: press Discard, or empty it to recycle")
            selection = self._all_of(form) if "all" in form else Selection(ids_of(form))
        except FormRefused as refused:
            return await self._reason_page(request, form, refused)
        before = await self._open(form)
        with in_words():
            done = await self._site.recycler.recycle(selection, principal_of(request).actor)
        raise _to_reason(form, told_of(None, done, before, await self._open(form)))

    async def _discard(self, request: web.Request) -> web.StreamResponse:
        form = await typed_form(request)
        try:
            ids, remark = ids_of(form), remark_of(form)
        except FormRefused as refused:
            return await self._reason_page(request, form, refused)
        before = await self._open(form)
        with in_words():
            done = await self._site.recycler.discard(Selection(ids), principal_of(request).actor, remark)
        raise _to_reason(form, Told(discarded=done, before=before, after=await self._open(form)))

    async def _map(self, request: web.Request) -> web.StreamResponse:
        form = await typed_form(request)
        actor, before = principal_of(request).actor, await self._open(form)
        recycled = None
        try:
            selection, mend = self._all_of(form), number_map_of(form)
            with in_words():
                mended = await self._site.recycler.mend(selection, mend, actor)
                if mended.refused and not mended.mended:
                    raise FormRefused("map_new", mended.refusals[0].words)
                if "then_recycle" in form:
                    recycled = await self._site.recycler.recycle(selection, actor)
        except FormRefused as refused:
            return await self._reason_page(request, form, refused)
        raise _to_reason(form, told_of(mended, recycled, before, await self._open(form)))

    @staticmethod
    def _all_of(form: MultiMapping[str]) -> Selection:
        reason = _text(form, "reason")
        if not reason:
            raise FormRefused("reason", "no reason is named: begin with the list of reasons")
        return Selection(reason=reason, source=_text(form, "source") or None)

    async def _open(self, form: MultiMapping[str]) -> int:
        return (await count_by_reason(self._site)).get(_text(form, "reason"), 0)

    # One record

    async def _one(self, request: web.Request) -> web.StreamResponse:
        return await self._record_page(request)

    async def _record_page(
        self, request: web.Request, form: MultiMapping[str] | None = None, refused: FormRefused | None = None
    ) -> web.Response:
        view = await view_record(self._site, _id(request))
        typed = form if form is not None else MultiDict[str]()
        record = view.record
        context = {
            "view": view,
            "record": record,
            "rows": field_rows(view, form),
            "raw": line_text(record.raw),
            "mended": None if record.mended is None else line_text(record.mended),
            "typed_line": _text(typed, "line") or line_text(record.line),
            "typed": {name: _text(typed, name) for name in ("new_name", "new_value", "remark")},
            "then_recycle": form is None or "then_recycle" in typed,
            "refused": refused,
            "told": read_told(request.query),
            "numbers": [row for row in field_rows(view) if row.name in MAPPED and row.text],
            "mapped": MAPPED,
        }
        return render(request, "suspense_record.html", context)

    async def _mend(self, request: web.Request) -> web.StreamResponse:
        return await self._mend_by(request, whole_line=False)

    async def _replace_line(self, request: web.Request) -> web.StreamResponse:
        return await self._mend_by(request, whole_line=True)

    async def _mend_by(self, request: web.Request, *, whole_line: bool) -> web.StreamResponse:
        form, actor = await typed_form(request), principal_of(request).actor
        view = await view_record(self._site, _id(request))
        selection, recycled = Selection((view.record.id,)), None
        try:
            self._check_unchanged(view.record, form)
            mend = line_of(form) if whole_line else mend_of(form, view.understood.fields)
            with in_words():
                mended = await self._site.recycler.mend(selection, mend, actor)
                if mended.refused:
                    raise FormRefused(_field_of(mended.refusals[0].words, mend.set), mended.refusals[0].words)
                if "then_recycle" in form:
                    recycled = await self._site.recycler.recycle(selection, actor)
        except FormRefused as refused:
            return await self._record_page(request, form, refused)
        raise _to_record(request, told_of(mended, recycled))

    @staticmethod
    def _check_unchanged(record: suspense.SuspenseRecord, form: MultiMapping[str]) -> None:
        """A form shows a record as it was: what somebody else did to it since must not be undone unseen."""
        if record.state != "open":
            raise FormRefused("", f"the record is {record.state} now: only open ones can be mended")
        if _text(form, "seen") != str(record.changed_at or 0):
            raise FormRefused("", "somebody has changed the record since: look at it, and mend it again")

    async def _recycle_one(self, request: web.Request) -> web.StreamResponse:
        record = (await view_record(self._site, _id(request))).record
        with in_words():
            done = await self._site.recycler.recycle(Selection((record.id,)), principal_of(request).actor)
        raise _to_record(request, told_of(None, done))

    async def _discard_one(self, request: web.Request) -> web.StreamResponse:
        form = await typed_form(request)
        record = (await view_record(self._site, _id(request))).record
        try:
            remark = remark_of(form)
        except FormRefused as refused:
            return await self._record_page(request, form, refused)
        with in_words():
            done = await self._site.recycler.discard(Selection((record.id,)), principal_of(request).actor, remark)
        raise _to_record(request, Told(discarded=done))


def _id(request: web.Request) -> int:
    return int(request.match_info["id"])


def _text(asked: MultiMapping[str], name: str) -> str:
    return asked.get(name, "")


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _field_of(words: str, changed: dict[str, str]) -> str:
    """The input that a refusal is about: its words are a reason, and a detail that begins with the field."""
    name = words.partition(": ")[2].partition(" ")[0]
    return f"field.{name}" if name in changed else ""


def _to_reason(form: MultiMapping[str], told: Told) -> web.HTTPSeeOther:
    if _text(form, "reason") not in REASONS:
        return web.HTTPSeeOther(URL("/suspense").with_query(told.query()))
    where = _given(reason=_text(form, "reason"), source=_text(form, "source"))
    return web.HTTPSeeOther(URL("/suspense").with_query(where | told.query()))


def _to_record(request: web.Request, told: Told) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(URL(f"/suspense/{_id(request)}").with_query(told.query()))
