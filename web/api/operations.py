"""Feeds, users, the audit log, and who asks, through the API."""

from typing import Final

import msgspec
from aiohttp import web

from control import audit
from control.users import Session
from mediation.feeds.problems import json_response
from mediation.feeds.status import SourceStatus
from rating.money import format_micros
from rating.store.reading import instant_text
from web.api import shapes
from web.api.paging import key_of, known_only, limit_of, no_key, number_after
from web.request import SESSION, principal_of
from web.routing import AUDITORS, EVERYBODY, OPERATIONS, STAFF, Route
from web.site import Site

_SECOND_PLACES: Final = 6


class OperationsAPI:
    """`/api/v1/session`, `/api/v1/feeds`, `/api/v1/users`, `/api/v1/audit`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        paged = ("limit", "after")
        return (
            Route(
                "GET", "/api/v1/session", self._session, EVERYBODY, "Who asks",
                answer=msgspec.json.schema(shapes.SessionAnswer),
            ),
            Route(
                "GET", "/api/v1/feeds", self._feeds, OPERATIONS, "Feeds with their last record, rate, lag and gaps",
                answer=msgspec.json.schema(shapes.FeedPage),
            ),
            Route(
                "GET", "/api/v1/users", self._users, STAFF, "Who may sign in",
                answer=msgspec.json.schema(shapes.UserPage), query=paged,
            ),
            Route(
                "GET", "/api/v1/audit", self._audit, AUDITORS, "Who changed what, the newest first",
                answer=msgspec.json.schema(shapes.AuditPage), query=paged,
            ),
        )  # fmt: skip

    async def _session(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        principal, session = principal_of(request), request.get(SESSION)
        expires_at = instant_text(session.expires_at) if isinstance(session, Session) else None
        answer = shapes.SessionAnswer(principal.name, principal.role, principal.account, principal.via, expires_at)
        return json_response(answer)

    async def _feeds(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        feeds = [
            shapes.FeedAnswer(
                feed.name,
                feed.type,
                feed.where,
                feed.state,
                list(map(_source, feed.sources)),
                feed.notes,
                feed.live_sessions,
            )
            for feed in await self._site.feeds()
        ]
        return json_response(shapes.FeedPage(feeds, None))

    async def _users(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "limit", "after")
        limit, after = limit_of(request.query), key_of(request.query)
        everybody = await self._site.users.users()
        if after and all(user.name != after for user in everybody):
            raise no_key()
        users = [user for user in everybody if user.name > after]
        items = [
            shapes.UserAnswer(
                user.id, user.name, user.role, user.account, user.email, instant_text(user.created_at),
                None if user.disabled_at is None else instant_text(user.disabled_at),
            )
            for user in users[:limit]
        ]  # fmt: skip
        return json_response(shapes.UserPage(items, items[-1].name if len(users) > limit else None))

    async def _audit(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "limit", "after")
        limit, before = limit_of(request.query), number_after(request.query)
        found = await self._site.readers.read(lambda cx: audit.entries(cx, limit=limit + 1, before=before))
        items = [
            shapes.AuditEntry(one.id, instant_text(one.at), one.actor, one.action, one.subject, one.detail)
            for one in found[:limit]
        ]
        return json_response(shapes.AuditPage(items, str(items[-1].id) if len(found) > limit else None))


def _source(status: SourceStatus) -> shapes.SourceAnswer:
    activity = status.activity
    return shapes.SourceAnswer(
        source=status.source,
        state=status.state,
        last_arrived_at=None if activity.last_arrived_at is None else instant_text(activity.last_arrived_at),
        per_minute=status.per_minute,
        lag_s=None if activity.lag_us is None else format_micros(activity.lag_us, _SECOND_PLACES),
        gaps=status.gaps,
        accepted=activity.accepted,
        duplicate=activity.duplicate,
        suspended=activity.suspended,
        streams=status.streams,
        connects=status.connects,
    )
