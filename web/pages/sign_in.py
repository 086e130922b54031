"""Signing in and out."""

from aiohttp import web

from control.users import SESSION_S, Refused
from web.gate import cookie_name
from web.rendering import ENTRANCE, render
from web.request import PRINCIPAL, SESSION_TOKEN
from web.routing import ANYBODY, EVERYBODY, Route
from web.site import Site


class SignInPages:
    """`/`, `/login`, `/logout`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/", self._entrance, ANYBODY, "To the first page of who asks"),
            Route("GET", "/login", self._form, ANYBODY, "The sign-in form"),
            Route("POST", "/login", self._sign_in, ANYBODY, "Sign in"),
            Route("POST", "/logout", self._sign_out, EVERYBODY, "Sign out"),
        )

    async def _entrance(self, request: web.Request) -> web.StreamResponse:
        principal = request.get(PRINCIPAL)
        raise web.HTTPSeeOther(ENTRANCE[principal.role] if principal else "/login")

    async def _form(self, request: web.Request) -> web.StreamResponse:
        if request.get(PRINCIPAL):
            raise web.HTTPSeeOther("/")
        return _login_page(request)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        client = request.remote or ""
        outcome = await self._site.users.sign_in(name, password, client, self._site.clock())
        if isinstance(outcome, Refused):
            answer = _login_page(request, refused=f"{outcome.text[0].upper()}{outcome.text[1:]}.", name=name)
            if outcome.retry_after_s:
                answer.set_status(429)
                answer.headers["Retry-After"] = str(outcome.retry_after_s)
            return answer
        away = web.HTTPSeeOther(_inside(request.query.get("next", "")) or "/")
        away.set_cookie(
            cookie_name(self._site),
            outcome,
            max_age=SESSION_S,
            path="/",
            secure=self._site.secure_cookies,
            httponly=True,
            samesite="Lax",
        )
        raise away

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        token = request.get(SESSION_TOKEN)
        if token:
            await self._site.users.sign_out(token)
        away = web.HTTPSeeOther("/login")
        away.del_cookie(cookie_name(self._site), path="/", secure=self._site.secure_cookies, httponly=True)
        raise away


def _login_page(request: web.Request, **said: object) -> web.Response:
    return render(request, "login.html", {"refused": None, "name": ""} | said)


def _inside(target: str) -> str:
    """A path of our own to go on to; nothing for what leads elsewhere."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() else ""
