"""Signing in over HTTP: what it says, where it leads, and what it never tells."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from argon2 import PasswordHasher

from control.users.throttle import BY_NAME
from tests.integration.control_plane import PASSWORD, Plane, serving


@pytest.fixture
async def plane(site: Path) -> AsyncIterator[Plane]:
    async with serving(site) as plane:
        yield plane


async def test_a_refusal_says_nothing_about_which_part_was_wrong(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    await plane.parts.users.disable("carl", "a test")
    hashed: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, known: str, password: bytes) -> bool:
        hashed.append(known.split("$")[3])
        return verify(self, known, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    answers = set()
    for name, password in (("carol", "a wrong password"), ("nobody", PASSWORD), ("carl", PASSWORD), ("carol", "")):
        hashed.clear()
        answer = await plane.ask("POST", "/login", name=name, password=password)
        assert len(hashed) == 1, f"{name}: the time that it takes tells them apart"
        assert hashed == ["m=8,t=1,p=1"]
        assert "Set-Cookie" not in answer.headers
        assert PASSWORD not in answer.text
        length = len(answer.body) - len(name)
        answers.add((answer.status, length, answer.text.replace(f'value="{name}"', 'value="NAME"')))
    assert len(answers) == 1
    assert {status for status, _, _ in answers} == {200}


async def test_who_fails_too_often_is_told_when_to_come_again(plane: Plane) -> None:
    said = [await plane.ask("POST", "/login", name="carol", password="wrong") for _ in range(BY_NAME.free + 2)]
    assert [answer.status for answer in said] == [200] * BY_NAME.free + [429] * 2
    assert int(said[-1].headers["Retry-After"]) >= 1
    assert (await plane.ask("POST", "/login", name="carol", password=PASSWORD)).status == 429


async def test_a_typed_name_comes_back_as_text(plane: Plane) -> None:
    answer = await plane.ask("POST", "/login", name='"><script>x</script>', password="wrong")
    assert "<script>x" not in answer.text
    assert "&lt;script&gt;x" in answer.text


OUTSIDE = [
    "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "javascript:alert(1)",
    "/\t/evil.example", "/\n/evil.example", "evil.example", " //evil.example", "/accounts\r\nSet-Cookie: a=b", "@evil",
]  # fmt: skip


@pytest.mark.parametrize("target", OUTSIDE, ids=ascii)
async def test_a_sign_in_leads_nowhere_outside(plane: Plane, target: str) -> None:
    answer = await plane.ask("POST", f"/login?next={quote(target, safe='')}", name="stella", password=PASSWORD)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert len(answer.headers.getall("Set-Cookie")) == 1


@pytest.mark.parametrize("target", ["/accounts", "/transactions?column=charge&op=%3E&value=2&after=x%2By", "/feeds"])
async def test_a_sign_in_leads_back_to_where_somebody_wanted_to_go(plane: Plane, target: str) -> None:
    sent = await plane.ask("GET", target)
    assert sent.status == 303
    form = await plane.ask("GET", sent.headers["Location"])
    assert form.status == 200
    answer = await plane.ask("POST", sent.headers["Location"], name="stella", password=PASSWORD)
    assert answer.headers["Location"] == target


@pytest.mark.parametrize(
    ("name", "leads"),
    [("stella", "/live"), ("carol", "/home"), ("oscar", "/feeds"), ("agnes", "/agent/accounts"), ("audrey", "/audit")],
)
async def test_each_role_has_an_entrance_that_opens(plane: Plane, name: str, leads: str) -> None:
    session = await plane.session(name)
    answer = await plane.ask("GET", "/", session)
    assert answer.headers["Location"] == leads
    assert (await plane.ask("GET", leads, session)).status == 200
    assert (await plane.ask("GET", "/login", session)).headers["Location"] == "/"
    assert (await plane.ask("GET", "/")).headers["Location"] == "/login"
