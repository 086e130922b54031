"""Signing in and out; the own password and sessions."""

from aiohttp import web

from control.users import SESSION_S, PasswordRefused, Refused, Role
from web.gate import cookie_name
from web.refusals import NotFound
from web.rendering import ENTRANCE, render
from web.request import PRINCIPAL, SESSION_TOKEN, principal_of, session_of
from web.routing import ANYBODY, EVERYBODY, Route
from web.site import Site


class SignInPages:
    """`/`, `/login`, `/logout`, `/account`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        return (
            Route("GET", "/", self._entrance, ANYBODY, "To the first page of who asks"),
            Route("GET", "/login", self._form, ANYBODY, "The sign-in form"),
            Route("POST", "/login", self._sign_in, ANYBODY, "Sign in"),
            Route("POST", "/logout", self._sign_out, EVERYBODY, "Sign out"),
            Route("GET", "/account", self._account, EVERYBODY, "Own password and sessions"),
            Route("POST", "/account/password", self._change_password, EVERYBODY, "Change the own password"),
            Route("POST", "/account/sessions/{id:[0-9]+}", self._end_session, EVERYBODY, "End an own session"),
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

    async def _account(self, request: web.Request) -> web.StreamResponse:
        return self._account_page(request)

    def _account_page(self, request: web.Request, **said: str) -> web.Response:
        principal = principal_of(request)
        account = self._site.directory.accounts.get(principal.account) if principal.account else None
        context = {
            "account": account if principal.role is Role.CUSTOMER else None,
            "sessions": self._site.users.sessions_of(session_of(request).user.id),
            "own": session_of(request).id,
            "refused": "",
            "done": request.query.get("done", ""),
        }
        return render(request, "account.html", context | said)

    async def _change_password(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        old, new, again = (str(form.get(field, "")) for field in ("old", "new", "again"))
        if new != again:
            return self._account_page(request, refused="The new password and its repetition differ.")
        try:
            await self._site.users.change_password(principal_of(request), old, new)
        except PasswordRefused as refused:
            return self._account_page(request, refused=str(refused))
        raise web.HTTPSeeOther("/account?done=password")

    async def _end_session(self, request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["id"][:18])
        if all(session.id != number for session in self._site.users.sessions_of(session_of(request).user.id)):
            raise NotFound
        await self._site.users.revoke(number)
        raise web.HTTPSeeOther("/account?done=session")


def _login_page(request: web.Request, **said: object) -> web.Response:
    return render(request, "login.html", {"refused": None, "name": ""} | said)


def _inside(target: str) -> str:
    """A path of our own to go on to; nothing for what leads elsewhere."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() else ""
