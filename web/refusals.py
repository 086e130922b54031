"""What is refused: as a page for people, as `application/problem+json` (RFC 9457) for programs."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from mediation.feeds.problems import problem
from web.rendering import render
from web.request import is_api

WORDS = {
    404: "There is no such page, or it is not yours to see.",
    405: "This page cannot be used that way.",
    413: "That was too long.",
}


class Refused(Exception):
    """Ends a request with a status and words."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


class NotFound(Refused):
    """Neither here nor yours: who asks cannot tell which."""

    def __init__(self) -> None:
        super().__init__(404, WORDS[404])


@web.middleware
async def as_pages_or_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer refusals, and aiohttp's own errors, in the way of who asks."""
    try:
        return await handler(request)
    except Refused as refused:
        return refusal(request, refused.status, refused.detail, refused.headers)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return refusal(request, error.status, WORDS.get(error.status, error.reason), kept)


def refusal(
    request: web.Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """A page or a problem that says what is wrong."""
    if is_api(request):
        return problem(status, detail, headers)
    context = {"title": HTTPStatus(status).phrase, "detail": detail, "status": status}
    answer = render(request, "refusal.html", context, status=status)
    answer.headers.update(headers or {})
    return answer
