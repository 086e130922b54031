"""Corrections of charges on their way from a command to whoever owns the store.

The running daemon takes them at its socket beside the store, part by part, and has each written between two commits of
the queue; a command that has the store to itself writes them by the same function.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from control import audit
from mediation.feeds.problems import problem
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.stopping import Stopping
from rating.store.batch import Row
from rating.store.port import Count, Store
from rating.store.rerating import Correction, Replaced, Rerated, Run

log: Final = logging.getLogger(__name__)

PATH: Final = "/rerating"
TYPE: Final = "application/x-msgpack"

InBetween = Callable[[Callable[[Count], Awaitable[Rerated]]], Awaitable[Rerated]]
"""Has something written at its turn."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Corrections of one store transaction."""

    run: Run
    corrections: list[Correction]


class Posted(msgspec.Struct, frozen=True, array_like=True):
    """What became of a part."""

    run: int
    """The run's number, for its next part; 0 if there was nothing to do yet."""
    replaced: list[Replaced]
    passed_over: int
    """Transactions that somebody else has reversed in the meantime."""


async def post(store: Store, in_between: InBetween, part: Part, now: int) -> Posted:
    """Write a part; durable when it returns. The run is in the audit log with its first one."""

    def begun(cx: Any, run: int) -> None:
        audit.record(cx, now, part.run.actor, "charge again", f"run {run} of rerate", _why(part.run))

    written = await in_between(lambda count: store.rerate(part.corrections, part.run, now, count, begun))
    if written.replaced:
        log.info("charged again", extra={"run": written.run, "transactions": len(written.replaced)})
    return Posted(written.run or part.run.id, written.replaced, written.passed_over)


async def post_alone(store: Store, part: Part, now: int) -> Posted:
    """The same into a store that no daemon owns. Nobody counts them here: the daemon's next start does."""
    return await post(store, lambda write: write(_uncounted), part, now)


def add_routes(app: web.Application, store: Store, owner: StoreOwner, clock: Callable[[], int]) -> None:
    """Let the daemon take corrections at its socket, to which only its own user has access."""

    async def take(request: web.Request) -> web.Response:
        try:
            part = msgspec.msgpack.decode(await request.read(), type=Part)
        except msgspec.MsgspecError as error:
            return problem(422, f"not corrections of charges: {error}")
        try:
            posted = await post(store, owner.in_between, part, clock())
        except Stopping:
            return problem(503, "the daemon is stopping")
        return web.Response(body=msgspec.msgpack.encode(posted), content_type=TYPE)

    app.router.add_post(PATH, take)


def packed(part: Part) -> bytes:
    """A part as the socket takes it."""
    return msgspec.msgpack.encode(part)


def unpacked(body: bytes) -> Posted:
    """What became of a part."""
    return msgspec.msgpack.decode(body, type=Posted)


def _why(run: Run) -> str:
    return f"{run.reason}: {run.scope}" if run.reason else run.scope


def _uncounted(_cx: Any, _rows: Sequence[Row]) -> None:
    """Counts nothing."""
