"""What a sender is told of its delivery: the counts once it is durable, or why nothing can be said."""

from collections.abc import Awaitable
from typing import Any

from aiohttp import web

from mediation.feeds.problems import json_response, overloaded, problem, stopping
from mediation.pipeline.room import Overloaded
from mediation.pipeline.stopping import Stopping, Unknown
from rating.store.batch import Outcome, Position


def told(outcome: Outcome) -> dict[str, Any]:
    """The counts, and the first suspended records by line, id and reason."""
    counts: dict[str, Any] = {
        "accepted": outcome.accepted,
        "duplicate": outcome.duplicate,
        "suspended": outcome.suspended,
    }
    if outcome.records:
        counts["records"] = outcome.records
    return counts


async def answer(request: web.Request, sending: Awaitable[Outcome], position: Position | None = None) -> web.Response:
    """The answer to a request whose records are being sent: 200 after the commit, 409 where `position` was taken by
    another body, 503 where nothing was stored."""
    try:
        outcome = await sending
    except Overloaded as full:
        return overloaded(full.retry_after_s)
    except Unknown:
        # Neither 200 nor 503 would be true. Without an answer the sender sends it again, and finds out.
        if request.transport is not None:
            request.transport.abort()
        return problem(500, "the store failed: whether this was stored is not known, send it again")
    except Stopping:
        return stopping()
    if outcome.conflict:
        assert position is not None
        return problem(
            409,
            f"position {position.epoch}/{position.sequence} was taken by another body: nothing of this one was"
            " stored; send it with the next sequence",
        )
    return json_response(told(outcome))
