"""What a request knows once the gate has looked at it: the site, who asks, and the form token."""

from typing import Final

from aiohttp import web
from multidict import MultiDict, MultiMapping

from control.users import Principal, Session
from web.site import Site

SITE: Final = web.AppKey("site", Site)
PRINCIPAL: Final = web.RequestKey("principal", Principal)
SESSION: Final = web.RequestKey("session", Session)
SESSION_TOKEN: Final = web.RequestKey("session token", str)


def principal_of(request: web.Request) -> Principal:
    """Who is asking, on a route that wants somebody signed in."""
    found = request.get(PRINCIPAL)
    assert isinstance(found, Principal)
    return found


def session_of(request: web.Request) -> Session:
    """The session by which a page is asked for."""
    found = request.get(SESSION)
    assert isinstance(found, Session)
    return found


def is_still_signed_in(request: web.Request) -> bool:
    """Whether the session goes on by which something was asked for that takes its time."""
    token, site = request.get(SESSION_TOKEN), request.app[SITE]
    return token is None or site.users.session(token, site.clock()) is not None


def csrf_of(request: web.Request) -> str:
    """What a form of the session has to carry; empty without a session."""
    token = request.get(SESSION_TOKEN)
    return request.app[SITE].users.csrf_token(token) if token else ""


def is_api(request: web.Request) -> bool:
    """Whether a program is asking."""
    return request.path.startswith("/api/")


async def typed_form(request: web.Request) -> MultiMapping[str]:
    """What was typed into a form; files are nobody's to send here."""
    return MultiDict((name, value) for name, value in (await request.post()).items() if isinstance(value, str))
