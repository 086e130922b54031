"""Finished charges on their way from a bill run to whoever owns the store.

The running daemon takes them at its socket beside the store; a command that has the store to itself issues the bills by
the same class. Balances, which `recount` compares, are asked for there too.
"""

import sqlite3
from typing import Final

import msgspec
from aiohttp import web

from control.billing.bill_rows import last_number
from control.billing.biller import Biller, Posted
from control.billing.charges import Charges
from control.ledger.postings import next_id
from mediation.feeds.problems import problem

PATH: Final = "/bills"
BALANCES_PATH: Final = "/balances"
TYPE: Final = "application/x-msgpack"


class Order(msgspec.Struct, frozen=True, array_like=True):
    """Charges of different accounts, and who bills them."""

    charged: list[Charges]
    actor: str


class BalancesAnswer(msgspec.Struct):
    """What the running daemon has in memory, as of one entry and one bill. Amounts are written out: they may go beyond
    64 bits."""

    entry: int
    bill: int
    owed: dict[str, str]
    """Of each account what is billed and not paid, micro-units."""
    billed: dict[str, str]
    """Of each account what its bills have charged."""


def add_routes(app: web.Application, biller: Biller) -> None:
    """Let the daemon issue bills at its socket, to which only its own user has access."""

    async def take(request: web.Request) -> web.Response:
        try:
            order = msgspec.msgpack.decode(await request.read(), type=Order)
        except msgspec.MsgspecError as error:
            return problem(422, f"not charges for bills: {error}")
        posted = await biller.post(order.charged, order.actor)
        return web.Response(body=msgspec.msgpack.encode(posted), content_type=TYPE)

    async def balances(_request: web.Request) -> web.Response:
        return web.Response(body=msgspec.msgpack.encode(await biller.standing(_standing)), content_type=TYPE)

    app.router.add_post(PATH, take)
    app.router.add_get(BALANCES_PATH, balances)


def packed(order: Order) -> bytes:
    """An order as the socket takes it."""
    return msgspec.msgpack.encode(order)


def unpacked(body: bytes) -> Posted:
    """What became of an order."""
    return msgspec.msgpack.decode(body, type=Posted)


def balances_in(body: bytes) -> BalancesAnswer:
    """The daemon's balances."""
    return msgspec.msgpack.decode(body, type=BalancesAnswer)


def balances_as_of(entry: int, bill: int, owed: dict[str, int], billed: dict[str, int]) -> BalancesAnswer:
    """Balances when an entry and a bill were the last ones."""
    return BalancesAnswer(entry, bill, _written(owed), _written(billed))


def _standing(cx: sqlite3.Connection, owed: dict[str, int], billed: dict[str, int]) -> BalancesAnswer:
    return balances_as_of(next_id(cx) - 1, last_number(cx), owed, billed)


def _written(amounts: dict[str, int]) -> dict[str, str]:
    return {account: str(micros) for account, micros in amounts.items()}
