"""Orders about suspended records on their way from a command to whoever owns the store.

The running daemon takes them at its socket beside the store; a command that has the store to itself carries them out
by the same function.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from mediation.feeds.problems import json_response, problem
from mediation.pipeline.mending import Mend
from mediation.pipeline.recycling import Mended, NotSelectable, Recycled, Recycler, Selection
from mediation.pipeline.stopping import Stopping
from rating.store.errors import StoreFailed

PATH: Final = "/suspense"
BEAT_S: Final = 10.0
"""An order about a million records takes minutes: a blank line so often tells the command that it goes on."""


class MendOrder(msgspec.Struct, frozen=True, tag="mend"):
    """Mend records, and perhaps recycle them then."""

    selection: Selection
    mend: Mend
    actor: str
    recycle: bool = False


class RecycleOrder(msgspec.Struct, frozen=True, tag="recycle"):
    """Process records again."""

    selection: Selection
    actor: str


class DiscardOrder(msgspec.Struct, frozen=True, tag="discard"):
    """Leave records out for good."""

    selection: Selection
    actor: str
    remark: str


Order = MendOrder | RecycleOrder | DiscardOrder


class Answer(msgspec.Struct, omit_defaults=True):
    """What became of an order, or why nothing did."""

    mended: Mended | None = None
    recycled: Recycled | None = None
    discarded: int | None = None
    refused: str | None = None
    """In words."""


async def carry_out(recycler: Recycler, order: Order, progress: Callable[[Recycled], None] | None = None) -> Answer:
    """Do what is ordered."""
    answer = Answer()
    try:
        match order:
            case MendOrder(selection, mend, actor, recycle):
                answer.mended = await recycler.mend(selection, mend, actor)
                if recycle:
                    answer.recycled = await recycler.recycle(selection, actor, progress)
            case RecycleOrder(selection, actor):
                answer.recycled = await recycler.recycle(selection, actor, progress)
            case DiscardOrder(selection, actor, remark):
                answer.discarded = await recycler.discard(selection, actor, remark)
    except NotSelectable as refused:
        answer.refused = str(refused)
    except Stopping:
        answer.refused = "the daemon is stopping: what was not done yet stays in suspense, order it again"
    except StoreFailed as failed:
        answer.refused = f"{failed}; what was not done yet stays in suspense"
    return answer


def add_routes(app: web.Application, recycler: Recycler) -> None:
    """Have the socket's application take orders."""

    async def take(request: web.Request) -> web.StreamResponse:
        try:
            order = msgspec.json.decode(await request.read(), type=Order)
        except msgspec.MsgspecError as error:
            return problem(422, f"not an order about suspended records: {error}")
        return await _answer(request, asyncio.create_task(carry_out(recycler, order), name="suspense"))

    app.router.add_post(PATH, take)


async def _answer(request: web.Request, work: "asyncio.Task[Answer]") -> web.StreamResponse:
    """The answer at once, or blank lines until there is one. Who goes away stops the work, between two of its lots."""
    try:
        await asyncio.wait({work}, timeout=BEAT_S)
        if work.done():
            return json_response(work.result())
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while not work.done():
            await response.write(b"\n")
            await asyncio.wait({work}, timeout=BEAT_S)
        await response.write(msgspec.json.encode(work.result()))
        return response
    finally:
        if not work.done():
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
