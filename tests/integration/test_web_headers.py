"""What every answer carries, whatever it is: pages, redirects, refusals, faults, files, downloads and streams."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.control_plane import OURS, PASSWORD, Plane, Said, filled, serving
from web.request import SITE

PROTECTED = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


@pytest.fixture
async def plane(site: Path) -> AsyncIterator[Plane]:
    async with serving(site) as plane:
        yield plane


def lacking(answer: Said) -> dict[str, str | None]:
    return {name: answer.headers.get(name) for name, value in PROTECTED.items() if answer.headers.get(name) != value}


ANSWERS: dict[str, tuple[str, str, int]] = {
    "page": ("GET", "/accounts", 200),
    "sign-in": ("GET", "/login?as=nobody", 200),
    "redirect": ("GET", "/", 303),
    "to the sign-in": ("GET", "/live?as=nobody", 303),
    "no such page": ("GET", "/no-such-page", 404),
    "not that way": ("DELETE", "/accounts", 405),
    "forged": ("POST", "/logout?as=forged", 403),
    "wrong search": ("GET", "/transactions?column=charge&op=%3E&value=much", 200),
    "style": ("GET", "/static/style.css", 200),
    "no such file": ("GET", "/static/no-such-file", 404),
    "out of the files": ("GET", "/static/..%2f..%2fgate.py", 404),
    "download": ("GET", "/transactions.csv", 200),
    "other download": ("GET", "/transactions.json", 200),
    "stream": ("GET", "/live/events", 200),
    "api": ("GET", "/api/no-such-thing", 404),
}


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_every_kind_of_answer_is_protected(plane: Plane, method: str, path: str, status: int) -> None:
    headers = await plane.session("stella")
    if path.endswith("as=nobody"):
        headers = {}
    elif path.endswith("as=forged"):
        del headers["X-CSRF-Token"]
    answer = await plane.ask(method, path, headers)
    assert answer.status == status
    assert lacking(answer) == {}
    assert answer.headers["Cache-Control"] in ("no-store", "no-cache") or status == 200


async def test_every_route_answers_with_them_and_keeps_nothing_in_caches(plane: Plane) -> None:
    session = await plane.session("stella")
    values = {"account": OURS, "transaction": plane.transaction_of(OURS)}
    for route, path in plane.routes():
        answer = await plane.ask(route.method, filled(path, **values), session)
        assert lacking(answer) == {}, path
        if not path.startswith("/static/"):
            assert "no-store" in answer.headers["Cache-Control"] or answer.headers[
                "Content-Type"
            ].startswith("text/event-stream"), path  # fmt: skip


async def test_a_fault_of_ours_is_protected_too_and_shows_no_workings(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the secret workings")

    monkeypatch.setattr(type(plane.application[SITE].readers), "read", broken)
    answer = await plane.ask("GET", "/accounts", await plane.session("stella"))
    assert answer.status == 500
    assert lacking(answer) == {}
    assert "secret workings" not in answer.text
    assert "secret workings" in caplog.text


@pytest.mark.parametrize("secure", [True, False])
async def test_the_sessions_cookie_is_kept_from_scripts_and_other_hosts(site: Path, secure: bool) -> None:
    async with serving(site, secure_cookies=secure) as plane:
        answer = await plane.ask("POST", "/login", name="carol", password=PASSWORD)
        assert answer.status == 303
        (cookie,) = answer.headers.getall("Set-Cookie")
        pair, *attributes = cookie.split("; ")
        name, _, token = pair.partition("=")
        assert name == ("__Host-tollkeeper" if secure else "tollkeeper")
        assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
        assert ("Secure" in attributes) is secure
        assert not any(attribute.startswith("Domain") for attribute in attributes)
        page = await plane.ask("GET", "/home", {"Cookie": pair})
        assert page.status == 200
        csrf = plane.parts.users.csrf_token(token)
        away = await plane.ask("POST", "/logout", {"Cookie": pair}, csrf=csrf)
        (gone,) = away.headers.getall("Set-Cookie")
        assert gone.startswith(f"{name}=")
        assert "Max-Age=0" in gone
        assert ("Secure" in gone) is secure
        assert (await plane.ask("GET", "/home", {"Cookie": pair})).status == 303


async def test_without_the_prefix_a_cookie_signs_nobody_in_where_cookies_are_secure(site: Path) -> None:
    async with serving(site, secure_cookies=True) as plane:
        session = await plane.session("carol")
        assert (await plane.ask("GET", "/home", session)).status == 200
        bare = session["Cookie"].removeprefix("__Host-")
        assert (await plane.ask("GET", "/home", {"Cookie": bare})).status == 303
