"""The steps by which a month leaves the store, on their way from a command to whoever owns the store.

The running daemon takes them at its socket beside the store; a command that has the store to itself takes them by the
same class.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

import msgspec
from aiohttp import web

from mediation.feeds.problems import problem
from mediation.pipeline.owner import StoreOwner
from mediation.provisions import load_counters
from rating.store.errors import StoreError, StoreFailed
from rating.store.port import Store
from rating.store.retiring import Done, Step

log: Final = logging.getLogger(__name__)

PATH: Final = "/retire"
TYPE: Final = "application/x-msgpack"


class Retiring:
    """Takes steps for the store's owner."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], int],
        save_counters: Callable[[], Awaitable[None]],
        standstill: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        """`save_counters` has the stored snapshot cover all transactions that there are; while `standstill` is held
        nobody else reads all transactions for the counters."""
        self._store, self._clock, self._save_counters, self._standstill = store, clock, save_counters, standstill

    async def take(self, step: Step) -> Done:
        """Do a step; durable when it returns. Raises StoreError for one whose turn it is not."""
        if step.do != "retire":
            done = await self._store.retire(step, self._clock())
        else:
            await self._save_counters()
            async with self._standstill():
                done = await self._store.retire(step, self._clock())
        if step.do in ("close", "reopen", "retire") or done.state == "dropped":
            extra = {"month": done.month, "state": done.state or "in use"}
            log.info("retention", extra=extra | ({"file": step.file} if step.file else {}))
        return done


def retiring_beside(store: Store, owner: StoreOwner, clock: Callable[[], int]) -> Retiring:
    """Of a daemon that goes on taking calls."""
    return Retiring(store, clock, owner.save_snapshot, owner.standstill)


def retiring_alone(store: Store, clock: Callable[[], int]) -> Retiring:
    """Of a command that has the store to itself."""

    async def save_counters() -> None:
        provisioned = await store.provisioned(with_lines=False)
        counters = await load_counters(store, {account.account: account for account in provisioned.accounts})
        await store.save_snapshot(counters.covers_id, counters.parts())

    return Retiring(store, clock, save_counters)


def add_routes(app: web.Application, retiring: Retiring) -> None:
    """Let the daemon take steps at its socket, to which only its own user has access."""

    async def take(request: web.Request) -> web.Response:
        try:
            step = msgspec.msgpack.decode(await request.read(), type=Step)
        except msgspec.MsgspecError as error:
            return problem(422, f"not a step of retiring a month: {error}")
        try:
            done = await retiring.take(step)
        except StoreFailed:
            raise
        except StoreError as refused:
            return problem(409, str(refused))
        return web.Response(body=msgspec.msgpack.encode(done), content_type=TYPE)

    app.router.add_post(PATH, take)


def packed(step: Step) -> bytes:
    """A step as the socket takes it."""
    return msgspec.msgpack.encode(step)


def unpacked(body: bytes) -> Done:
    """What became of a step."""
    return msgspec.msgpack.decode(body, type=Done)
