"""Access orders, for staff and operations: each with its state as it changes; held ones are released or dropped."""

from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from access import order_rows
from access.orders import Order, State
from control.users import Role
from web.live import LiveParts
from web.pages.suspense_forms import FormRefused, ids_of, remark_of
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import OPERATIONS, Route
from web.site import Site

ROWS: Final = 100
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
        )

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, request.query)

    async def _page(
        self, request: web.Request, asked: MultiMapping[str], refused: FormRefused | None = None
    ) -> web.Response:
        held = await self._read(_account(asked), [State.HELD], None, HELD_ROWS + 1)
        planned = asked.get("planned", "")
        context = {
            "account": _account(asked) or "",
            "state": asked.get("state", "") if asked.get("state", "") in set(State) else "",
            "states": list(State),
            "held": held[:HELD_ROWS],
            "more_held": len(held) > HELD_ROWS,
            "ticked": set(asked.getall("id", ())),
            "remark": asked.get("remark", ""),
            "refused": refused,
            "planned": int(planned) if planned.isascii() and planned.isdigit() and len(planned) < 9 else None,
            "stream": URL("/orders/events").with_query(_where(asked, "state", "before")),
        }
        return render(request, "orders.html", context | await self._part_of(request, asked))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._live.stream(request, "orders_part.html", self._part)

    async def _part(self, request: web.Request) -> dict[str, Any]:
        return await self._part_of(request, request.query)

    async def _part_of(self, request: web.Request, asked: MultiMapping[str]) -> dict[str, Any]:
        state, before = asked.get("state", ""), asked.get("before", "")
        states = [State(state)] if state in set(State) else []
        start = int(before) if before.isascii() and before.isdigit() and len(before) <= 18 else None
        orders = await self._read(_account(asked), states, start, ROWS + 1)
        here = URL("/orders").with_query(_where(asked, "state"))
        return {
            "orders": orders[:ROWS],
            "is_filtered": bool(states or _account(asked)),
            "next_page": here.update_query(before=orders[ROWS - 1].id) if len(orders) > ROWS else None,
            "first_page": here if start is not None else None,
            "staff": principal_of(request).role is Role.STAFF,
        }

    async def _read(self, account: str | None, states: list[State], before: int | None, limit: int) -> list[Order]:
        return await self._site.readers.read(
            lambda cx: order_rows.listed(cx, account=account, states=states, before=before, limit=limit)
        )

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
        while held := await self._read(account, [State.HELD], before, AT_ONCE):
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


def _of_orders(refused: FormRefused) -> FormRefused:
    return FormRefused("id", str(refused).replace("record", "order")) if refused.field == "id" else refused


def _account(asked: MultiMapping[str]) -> str | None:
    return asked.get("account", "").strip()[:100] or None


def _where(asked: MultiMapping[str], *names: str) -> dict[str, str]:
    return {name: value for name in ("account", *names) if (value := asked.get(name, "").strip()[:100])}


def _back(form: MultiMapping[str]) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(URL("/orders").with_query(_where(form)))
