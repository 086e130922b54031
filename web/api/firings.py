"""What account events did, through the API: firings, access orders, alerts; and bars by hand."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct
from multidict import MultiMapping

from access import order_rows
from access.orders import Order, State
from control import control_room
from control.alerts.alert import Alert
from control.events.event_rows import StoredFiring
from control.users import Role
from mediation.feeds.problems import json_response
from rating.store.reading import instant_text
from web.api import control_shapes as shapes
from web.api.accounts import account_of
from web.api.bodies import read_json
from web.api.idempotency import KeptAnswers
from web.api.paging import known_only, limit_of, number_after
from web.refusals import NotFound, Refused
from web.request import principal_of
from web.routing import OPERATIONS, STAFF, Handler, Route
from web.site import Site

FIRED: Final = OPERATIONS | {Role.CUSTOMER}
OF_ACCOUNT: Final = ("account", "limit", "after")

OrderId = Annotated[int, Meta(ge=1, lt=10**18)]
Words = Annotated[str, Meta(min_length=1, max_length=500)]


class ReleaseBody(Struct, forbid_unknown_fields=True):
    """Orders that the breaker held, to be let go."""

    ids: Annotated[list[OrderId], Meta(min_length=1, max_length=10_000)]
    remark: Annotated[str, Meta(max_length=500)] = ""


class DropBody(Struct, forbid_unknown_fields=True):
    """Orders that the breaker held, and why they are not to be sent."""

    ids: Annotated[list[OrderId], Meta(min_length=1, max_length=10_000)]
    remark: Words


class BarBody(Struct, forbid_unknown_fields=True):
    """Services of an account, and why they are barred or restored."""

    reason: Words
    services: Annotated[list[str], Meta(max_length=50)] = []
    """None is all of them."""


class FiringsAPI:
    """`/api/v1/firings`, `/api/v1/access-orders`, `/api/v1/alerts`, and bars under `/api/v1/accounts`."""

    def __init__(self, site: Site, kept: KeptAnswers) -> None:
        self._site = site
        self._kept = kept

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        path, one, once = "/api/v1/access-orders", "/api/v1/accounts/{account}", self._kept.guarded
        orders, room = msgspec.json.schema(shapes.OrderPage), self._site.room
        return (
            Route(
                "GET", "/api/v1/firings", self._firings, FIRED,
                "Account events that fired, the newest first; a customer sees the own account's",
                answer=msgspec.json.schema(shapes.FiringPage), query=OF_ACCOUNT,
            ),
            Route(
                "GET", path, self._orders, OPERATIONS, "Orders to switches, the newest first",
                answer=orders, query=("account", "state", "limit", "after"),
            ),
            Route(
                "POST", path + "/release", once(self._release), OPERATIONS, "Let orders go that the breaker held",
                answer=orders, takes=msgspec.json.schema(ReleaseBody),
            ),
            Route(
                "POST", path + "/drop", once(self._drop), OPERATIONS,
                "Cancel orders that the breaker held; what they were to bar stays free",
                answer=orders, takes=msgspec.json.schema(DropBody),
            ),
            Route(
                "POST", path + "/{order:[0-9]{1,18}}/retry", once(self._retry), OPERATIONS,
                "Send an order again that failed, or look now at one whose end is unknown",
                answer=msgspec.json.schema(shapes.OrderAnswer),
            ),
            Route(
                "POST", one + "/bar", once(self._by_hand(room.bar)), STAFF, "Bar services of an account",
                owned="account", answer=orders, takes=msgspec.json.schema(BarBody), done=202,
            ),
            Route(
                "POST", one + "/restore", once(self._by_hand(room.restore)), STAFF,
                "Restore services of an account, whatever barred them",
                owned="account", answer=orders, takes=msgspec.json.schema(BarBody), done=202,
            ),
            Route(
                "GET", "/api/v1/alerts", self._alerts, STAFF, "Alerts with what has become of them, the newest first",
                answer=msgspec.json.schema(shapes.AlertPage), query=OF_ACCOUNT,
            ),
        )  # fmt: skip

    async def _firings(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, *OF_ACCOUNT)
        limit, before, account = (
            limit_of(request.query),
            number_after(request.query),
            request.query.get("account") or None,
        )
        principal = principal_of(request)
        if principal.account is not None and account not in (None, principal.account):
            return json_response(shapes.FiringPage([], None))  # as for an account that does not exist
        found = await self._site.room.firings(principal.account or account, before, limit + 1)
        items = [_firing(firing, told=principal.account is None) for firing in found[:limit]]
        return json_response(shapes.FiringPage(items, _next(found, limit)))

    async def _orders(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, "account", "state", "limit", "after")
        limit, before, account = (
            limit_of(request.query),
            number_after(request.query),
            request.query.get("account") or None,
        )
        found = await self._site.room.orders(account, _states(request.query), before, limit + 1)
        return json_response(shapes.OrderPage([_order(order) for order in found[:limit]], _next(found, limit)))

    async def _alerts(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, *OF_ACCOUNT)
        limit, before, account = (
            limit_of(request.query),
            number_after(request.query),
            request.query.get("account") or None,
        )
        found = await self._site.room.alerts(account, before, limit + 1)
        return json_response(shapes.AlertPage([_alert(alert) for alert in found[:limit]], _next(found, limit)))

    async def _release(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request, ReleaseBody)
        return _changed(await self._site.room.release(body.ids, principal_of(request).actor, body.remark))

    async def _drop(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request, DropBody)
        return _changed(await self._site.room.drop(body.ids, principal_of(request).actor, body.remark))

    async def _retry(self, request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["order"])
        if await self._site.readers.read(order_rows.order_of, number) is None:
            raise NotFound
        try:
            order = await self._site.room.retry(number, principal_of(request).actor)
        except control_room.Refused as refused:
            raise Refused(409, str(refused)) from None
        return json_response(_order(order))

    def _by_hand(self, act: Callable[[str, Sequence[str], str, str], Awaitable[list[Order]]]) -> Handler:
        """What a person does to services of an account; the orders that follow."""

        async def by_hand(request: web.Request) -> web.StreamResponse:
            account = account_of(self._site, request)
            body = await read_json(request, BarBody)
            try:
                orders = await act(account.account, body.services, principal_of(request).actor, body.reason)
            except control_room.Refused as refused:
                raise Refused(422, str(refused)) from None
            return json_response(shapes.OrderPage([_order(order) for order in orders], None), status=202)

        return by_hand


def _changed(orders: list[Order]) -> web.Response:
    if not orders:
        raise Refused(409, "none of these orders is held: nothing was changed")
    return json_response(shapes.OrderPage([_order(order) for order in orders], None))


def _states(query: MultiMapping[str]) -> list[State]:
    words = [word for word in query.get("state", "").split(",") if word]
    try:
        return [State(word) for word in words]
    except ValueError:
        raise Refused(422, f"state: an order is {', '.join(State)}; write some of them, with commas between") from None


def _next(found: Sequence[StoredFiring | Order | Alert], limit: int) -> str | None:
    return str(found[limit - 1].id) if len(found) > limit else None


def _firing(firing: StoredFiring, *, told: bool) -> shapes.FiringAnswer:
    trace: list[dict[str, Any]] | None = msgspec.json.decode(firing.trace) if told else None
    return shapes.FiringAnswer(
        firing.id, firing.event, firing.account, instant_text(firing.period_start), instant_text(firing.period_end),
        firing.threshold, instant_text(firing.fired_at), firing.transaction, firing.late, trace,
    )  # fmt: skip


def _order(order: Order) -> shapes.OrderAnswer:
    return shapes.OrderAnswer(
        order.id, order.account, order.action, order.target.switch, order.target.number, order.target.service,
        order.state, order.reason, order.cause, instant_text(order.planned_at), instant_text(order.due_at),
        _instant(order.held_at), _instant(order.sent_at), _instant(order.acknowledged_at),
        _instant(order.confirmed_at), order.tries, order.words,
    )  # fmt: skip


def _alert(alert: Alert) -> shapes.AlertAnswer:
    about = str(alert.facts.__struct_config__.tag)
    return shapes.AlertAnswer(
        alert.id, alert.account, alert.medium, alert.recipient, about, alert.firing, alert.state, alert.tries,
        instant_text(alert.at), instant_text(alert.due_at), _instant(alert.sent_at), alert.words,
    )  # fmt: skip


def _instant(at: int | None) -> str | None:
    return None if at is None else instant_text(at)
