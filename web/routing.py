"""The table of routes: each says who may use it, and the gate holds it to that. What is not declared is not served."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from control.users import Role

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ANYBODY: Final[frozenset[Role]] = frozenset()
"""Also who is not signed in."""
EVERYBODY: Final = frozenset(Role)
"""Whoever is signed in."""
STAFF: Final = frozenset({Role.STAFF})
OPERATIONS: Final = frozenset({Role.STAFF, Role.OPERATOR})
AUDITORS: Final = frozenset({Role.STAFF, Role.AUDITOR})
CUSTOMER: Final = frozenset({Role.CUSTOMER})
AGENT: Final = frozenset({Role.AGENT})
CALLS: Final = frozenset({Role.STAFF, Role.CUSTOMER})


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    handler: Handler
    roles: frozenset[Role]
    summary: str
    """What it does, in some words: for the description of the API, and for who reads the table."""
    owned: str = ""
    """Where the path has an object that belongs to an account: its kind, `account` or `transaction`. Somebody who may
    not see that account gets 404, as if it did not exist."""
    answer: dict[str, Any] = field(default_factory=dict)
    """JSON Schema of what an API route answers."""
    done: int = 200
    """Status of an API route's answer when it did what was asked."""
    takes: dict[str, Any] = field(default_factory=dict)
    """JSON Schema of the body that an API route takes."""
    query: tuple[str, ...] = ()
    """Names of the query's parameters that an API route reads."""


DECLARED: Final = web.AppKey("declared", dict[web.AbstractRoute, Route])
"""The routes by aiohttp's own."""


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Serve the routes; the gate finds each again by its resource."""
    declared = app[DECLARED]
    for route in routes:
        made = app.router.add_route(route.method, route.path, route.handler)
        declared[made] = route


def route_of(request: web.Request) -> Route | None:
    """The declaration of the route that a request came by; None where there is none (404, 405)."""
    found = request.match_info.route
    return request.app[DECLARED].get(found)
