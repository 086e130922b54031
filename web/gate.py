"""Who comes in: finds out who is asking, and whether they may use the route; refuses forged posts."""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from control.users import Role
from web.refusals import NotFound, Refused
from web.request import PRINCIPAL, SESSION, SESSION_TOKEN, SITE, is_api
from web.routing import ANYBODY, route_of
from web.site import Site

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD: Final = "csrf"


def cookie_name(site: Site) -> str:
    """The session's cookie; the prefix makes browsers insist on Secure, the whole host and no other path."""
    return "__Host-tollkeeper" if site.secure_cookies else "tollkeeper"


@web.middleware
async def gate(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let in who may."""
    _identify(request)
    route = route_of(request)
    if route is None:  # no such page, or not by that method
        return await handler(request)
    principal = request.get(PRINCIPAL)
    if route.roles != ANYBODY:
        if principal is None:
            raise _unknown(request)
        if principal.role not in route.roles:
            if is_api(request):
                raise Refused(403, f"role {principal.role} may not use this")
            # What others may see does not exist for this one.
            raise NotFound
    if request.method not in SAFE:
        await _check_origin(request, route.roles)
    return await handler(request)


def _identify(request: web.Request) -> None:
    site = request.app[SITE]
    now = site.clock()
    if is_api(request):
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme:
            principal = site.users.by_token(text.strip()) if scheme.lower() == "bearer" else None
            if principal is None:
                raise _unknown(request)
            request[PRINCIPAL] = principal
            return
    token = request.cookies.get(cookie_name(site))
    session = site.users.session(token, now) if token else None
    if token is not None and session is not None:
        request[PRINCIPAL] = session.principal
        request[SESSION] = session
        request[SESSION_TOKEN] = token


def _unknown(request: web.Request) -> Exception:
    if is_api(request):
        return Refused(401, "sign in, or send Authorization: Bearer with an API token", {"WWW-Authenticate": "Bearer"})
    back = quote(request.path_qs, safe="") if request.method == "GET" else ""
    return web.HTTPSeeOther(f"/login?next={back}" if back and request.path != "/" else "/login")


async def _check_origin(request: web.Request, roles: frozenset[Role]) -> None:
    """An unsafe request comes from one of our own pages, or from a program with a token of its own."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Refused(403, f"this came from another site ({origin}): nothing was changed")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "this came from another site: nothing was changed")
    token = request.get(SESSION_TOKEN)
    if token is None or roles == ANYBODY:  # the form of the sign-in may be older than the session
        return
    sent = request.headers.get("X-CSRF-Token")
    if sent is None and not is_api(request):
        sent = str((await request.post()).get(CSRF_FIELD, ""))
    if not request.app[SITE].users.csrf_matches(token, sent or ""):
        raise Refused(403, "the form is from another session: go back, reload the page, and send it again")
