"""Access orders, for staff and operations: each with its state as it changes; held ones are released or dropped."""

from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from access import order_rows
from access.orders import RETRIED, Order, State
from control.control_room import Refused as ChangeRefused
from control.users import Principal, Role
from web.live import LiveParts
from web.pages.suspense_forms import FormRefused, ids_of, remark_of
from web.refusals import NotFound
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import OPERATIONS, Route
from web.site import Site

ROWS: Final = 100
BRIEF_ROWS: Final = 20
HELD_ROWS: Final = 50
"""Held orders that are listed; all of them can be released at once."""
AT_ONCE: Final = 500
"""Held orders of one store transaction."""


class OrdersPages:
    """`/orders`."""

    def __init__(self, site: Site, live: LiveParts) -> None:
        self._site = site
        self._live = live

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/orders", self._list, OPERATIONS, "Access orders with their states, held ones first"),
            Route("GET", "/orders/events", self._events, OPERATIONS, "Access orders, live"),
            Route("POST", "/orders/release", self._release, OPERATIONS, "Let held orders go, chosen ones or all"),
            Route("POST", "/orders/drop", self._drop, OPERATIONS, "Cancel chosen held orders, with a remark"),
            Route(
                "POST", "/orders/{order:[0-9]{1,18}}/retry", self._retry, OPERATIONS,
                "Send an order again that failed, or look now at one whose end is unknown",
            ),
        )  # fmt: skip

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, request.query)

    async def _page(
        self, request: web.Request, asked: MultiMapping[str], refused: FormRefused | None = None, not_retried: str = ""
    ) -> web.Response:
        held = await self._held(_account(asked), None, HELD_ROWS + 1)
        part = await orders_part(self._site, principal_of(request), asked)
        context = {
            "account": _account(asked) or "",
            "state": asked.get("state", "").strip()[:100],
            "states": list(State),
            "held": held[:HELD_ROWS],
            "more_held": len(held) > HELD_ROWS,
            "ticked": set(asked.getall("id", ())),
            "remark": asked.get("remark", ""),
            "refused": refused,
            "retried": number_in(asked, "retried"),
            "not_retried": not_retried,
            "refresh": URL("/orders").with_query(_where(asked, "state", "before")),
            "stream": URL("/orders/events").with_query(_where(asked, "state", "before")),
        }
        return render(request, "orders.html", context | part)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._live.stream(request, "orders_part.html", self._part)

    async def _part(self, request: web.Request) -> dict[str, Any]:
        return await orders_part(self._site, principal_of(request), request.query)

    async def _held(self, account: str | None, before: int | None, limit: int) -> list[Order]:
        return await _read(self._site, account, [State.HELD], before, limit)

    async def _release(self, request: web.Request) -> web.StreamResponse:
        form, actor = await typed_form(request), principal_of(request).actor
        try:
            if form.get("remark", "").strip():  # Enter in its field presses the form's first button
                raise FormRefused("remark", "a remark is for dropping: press Drop, or empty it to release")
            if "all" in form:
                await self._release_all(_account(form), actor)
            else:
                await self._site.room.release(ids_of(form), actor)
        except FormRefused as refused:
            return await self._page(request, form, _of_orders(refused))
        raise _back(form)

    async def _release_all(self, account: str | None, actor: str) -> None:
        before = None  # those held from now on stay so
        while held := await self._held(account, before, AT_ONCE):
            before = held[-1].id
            await self._site.room.release([order.id for order in held], actor)

    async def _drop(self, request: web.Request) -> web.StreamResponse:
        form = await typed_form(request)
        try:
            numbers = ids_of(form)
            try:
                remark = remark_of(form)
            except FormRefused:
                raise FormRefused("remark", "an order is not dropped without a remark: say why") from None
            await self._site.room.drop(numbers, principal_of(request).actor, remark)
        except FormRefused as refused:
            return await self._page(request, form, _of_orders(refused))
        raise _back(form)

    async def _retry(self, request: web.Request) -> web.StreamResponse:
        form, number = await typed_form(request), int(request.match_info["order"])
        order = await self._site.readers.read(order_rows.order_of, number)
        if order is None:
            raise NotFound
        try:
            await self._site.room.retry(number, principal_of(request).actor)
        except ChangeRefused as refused:
            return await self._page(request, form, not_retried=str(refused))
        if form.get("brief") == "yes":
            raise web.HTTPSeeOther(URL(f"/accounts/{order.account}/access").with_query(retried=number))
        raise web.HTTPSeeOther(URL("/orders").with_query({**_where(form, "state"), "retried": number}))


async def orders_part(site: Site, principal: Principal, asked: MultiMapping[str]) -> dict[str, Any]:
    """What the table of orders shows: those of an account or state, or (`brief`) the newest few of an account, which
    are followed on its page."""
    start, brief = number_in(asked, "before"), asked.get("brief") == "yes"
    rows = BRIEF_ROWS if brief else ROWS
    orders, states, no_state = list[Order](), list[State](), None
    try:
        states = _states(asked)
        orders = await _read(site, _account(asked), states, start, rows + 1)
    except FormRefused as refused:
        no_state = refused
    here = URL("/orders").with_query(_where(asked, "state"))
    return {
        "orders": orders[:rows],
        "no_state": no_state,
        "is_filtered": bool(states or _account(asked)),
        "next_page": here.update_query(before=orders[rows - 1].id) if len(orders) > rows else None,
        "first_page": here if start is not None else None,
        "staff": principal.role is Role.STAFF,
        "again": RETRIED,
        "where": _where(asked, "state"),
        "brief": brief,
    }


async def _read(site: Site, account: str | None, states: list[State], before: int | None, limit: int) -> list[Order]:
    return await site.readers.read(
        lambda cx: order_rows.listed(cx, account=account, states=states, before=before, limit=limit)
    )


def _of_orders(refused: FormRefused) -> FormRefused:
    return FormRefused("id", str(refused).replace("record", "order")) if refused.field == "id" else refused


def _account(asked: MultiMapping[str]) -> str | None:
    return asked.get("account", "").strip()[:100] or None


def _states(asked: MultiMapping[str]) -> list[State]:
    """The one that is asked for; none: all of them. Raises FormRefused."""
    text = asked.get("state", "").strip()
    if text and text not in set(State):
        raise FormRefused("state", f"there is no state “{text[:40]}”: an order is {', '.join(State)}")
    return [State(text)] if text else []


def _where(asked: MultiMapping[str], *names: str) -> dict[str, str]:
    return {name: value for name in ("account", *names) if (value := asked.get(name, "").strip()[:100])}


def _back(form: MultiMapping[str]) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(URL("/orders").with_query(_where(form)))


def number_in(asked: MultiMapping[str], name: str) -> int | None:
    """A parameter that is a number; None for what is none."""
    text = asked.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
