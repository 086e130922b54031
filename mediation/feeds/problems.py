"""Errors as `application/problem+json` (RFC 9457), for every answer of a listener that is not a success."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

from mediation.pipeline.room import Overloaded
from mediation.pipeline.stopping import Stopping

CONTENT_TYPE = "application/problem+json"
STOPPED_FOR_S = 5
"""After so long a daemon that was told to end may be there again."""

_encode = msgspec.json.Encoder().encode


def json_response(body: object, status: int = 200) -> web.Response:
    """An answer with `body` as JSON."""
    return web.Response(body=_encode(body), status=status, content_type="application/json")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer that says what is wrong and what to do."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return web.Response(body=_encode(body), status=status, content_type=CONTENT_TYPE, headers=headers)


def overloaded(retry_after_s: int) -> web.Response:
    """The push-back: nothing was stored, come again."""
    return problem(
        503,
        f"too much is waiting for the store; nothing of this request was stored, send it again in {retry_after_s} s",
        {"Retry-After": str(retry_after_s)},
    )


def stopping() -> web.Response:
    """The daemon ends: nothing was stored, come again when it has been started."""
    return problem(
        503,
        f"the daemon is stopping; nothing of this request was stored, send it again in {STOPPED_FOR_S} s",
        {"Retry-After": str(STOPPED_FOR_S)},
    )


class Refusal(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.response = problem(status, detail, headers)


@web.middleware
async def as_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer refusals, also those of the pipeline, and aiohttp's own errors (404, 405 …), as problems."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.response
    except Overloaded as full:
        return overloaded(full.retry_after_s)
    except Stopping:
        return stopping()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return problem(error.status, f"{request.method} {request.path}: {error.reason}", kept)
