"""Requests that change something and come from elsewhere: refused on every such route, with nothing changed."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.integration.control_plane import OURS, PASSWORD, PEOPLE, Plane, filled, serving
from tests.test_tidy import clean
from web.gate import CSRF_FIELD, SAFE
from web.routing import ANYBODY, Route

OTHER = "another good password"
FORM = {"name": "carol", "password": PASSWORD, "old": PASSWORD, "new": OTHER, "again": OTHER}
"""Fields with which the forms would do their work, were they not forged."""


@pytest.fixture
async def plane(site: Path) -> AsyncIterator[Plane]:
    async with serving(site) as plane:
        yield plane


async def unsafe(plane: Plane) -> list[tuple[Route, str, dict[str, str]]]:
    """Every route that changes something, with a path that leads to it and a browser that may use it."""
    found = []
    sessions: dict[str, dict[str, str]] = {}  # one for each: the oldest of many would be ended
    values = {"account": OURS, "transaction": plane.transaction_of(OURS)}
    for route, path in plane.routes():
        if route.method not in SAFE:
            person = next(p for p in PEOPLE if route.roles == ANYBODY or p.role in route.roles)
            if person.name not in sessions:
                sessions[person.name] = await plane.session(person.name)
            found.append((route, filled(path, **values), sessions[person.name]))
    assert len(found) >= 4
    return found


async def refused(plane: Plane, route: Route, path: str, headers: Mapping[str, str], **form: str) -> list[str]:
    """What is wrong with the answer to a forged request."""
    with plane.changes() as changed:
        answer = await plane.ask(route.method, path, headers, **FORM, **form)
    where = f"{route.method} {path} with {sorted(headers)} {form}"
    wrong = [] if answer.status == 403 else [f"{where}: {answer.status}, not 403"]
    wrong += [f"{where}: sets a cookie"] if "Set-Cookie" in answer.headers else []
    return wrong + ([f"{where}: something was changed"] if changed == [True] else [])


@pytest.mark.parametrize("token", [None, "", "x", "of another session", "the cookie itself"])
async def test_a_form_without_its_sessions_token_changes_nothing(plane: Plane, token: str | None) -> None:
    others = await plane.session("oscar")
    places = []
    for route, path, session in await unsafe(plane):
        if route.roles == ANYBODY:  # the form of a sign-in has no session yet
            continue
        cookie = {"Cookie": session["Cookie"]}
        known = {"of another session": others["X-CSRF-Token"], "the cookie itself": session["Cookie"].partition("=")[2]}
        sent = known.get(token or "", token)
        places += await refused(plane, route, path, cookie, **({} if sent is None else {CSRF_FIELD: sent}))
        if sent is not None:
            places += await refused(plane, route, path, cookie | {"X-CSRF-Token": sent})
    clean(places)


@pytest.mark.parametrize(
    "from_elsewhere",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
async def test_another_site_changes_nothing_even_with_the_right_token(
    plane: Plane, from_elsewhere: dict[str, str]
) -> None:
    places = []
    for route, path, session in await unsafe(plane):
        places += await refused(plane, route, path, session | from_elsewhere)
        if route.roles == ANYBODY:  # such as a sign-in to an account of the other site's choice
            places += await refused(plane, route, path, from_elsewhere)
    clean(places)


async def test_the_right_token_from_the_own_page_does_what_the_form_says(plane: Plane) -> None:
    """Else the tests above could not fail."""
    session = await plane.session("carol")
    own = {"Cookie": session["Cookie"], "Origin": f"http://{plane.client.host}:{plane.client.port}",
           "Sec-Fetch-Site": "same-origin"}  # fmt: skip
    with plane.changes() as changed:
        answer = await plane.ask("POST", "/account/password", own, **FORM, csrf=session["X-CSRF-Token"])
    assert (answer.status, answer.headers["Location"], changed) == (303, "/account?done=password", [True])
    assert plane.parts.users.session(session["Cookie"].partition("=")[2], 0)
    await plane.session("carol", OTHER)


async def test_a_program_needs_no_form_token_and_gains_nothing_on_pages(plane: Plane) -> None:
    key = {"Authorization": f"Bearer {plane.keys['carol']}"}
    with plane.changes() as changed:
        answer = await plane.ask("POST", "/account/password", key, **FORM)
    assert (answer.status, answer.headers["Location"], changed) == (303, "/login", [False])
