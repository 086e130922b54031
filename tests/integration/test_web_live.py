"""Live parts of pages as streams: sent when they change, and no longer than somebody may see them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from tests.integration.control_plane import OURS, PASSWORD, THEIRS, WITHIN_S, Plane, serving
from tests.small_site import a_record, line
from web import live


@pytest.fixture
async def plane(site: Path) -> AsyncIterator[Plane]:
    async with serving(site) as plane:
        yield plane


@asynccontextmanager
async def stream(plane: Plane, path: str, headers: Mapping[str, str]) -> AsyncIterator[ClientResponse]:
    """A page's events, as a browser asks for them."""
    async with asyncio.timeout(WITHIN_S), plane.client.get(path, headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield answer


async def part(answer: ClientResponse) -> str:
    """The next event's data; empty when the stream has ended."""
    lines = []
    while text := (await answer.content.readline()).decode().rstrip("\r\n"):
        lines.append(text)
    if not lines:
        return ""
    assert lines[0] == "event: part"
    assert all(text.startswith("data: ") for text in lines[1:])
    return "\n".join(text.removeprefix("data: ") for text in lines[1:])


async def test_a_part_is_sent_at_once_and_again_when_it_reads_differently(plane: Plane) -> None:
    async with stream(plane, f"/accounts/{OURS}/events", await plane.session("stella")) as answer:
        first = await part(answer)
        assert "+442079460099" not in first
        await plane.send(a_record("new", called="+442079460099"))
        second = await part(answer)
        assert "+442079460099" in second


async def test_a_customers_stream_holds_the_own_account_alone(plane: Plane) -> None:
    async with stream(plane, "/home/events", await plane.session("carol")) as answer:
        first = await part(answer)
        assert line(0) in first
        assert THEIRS not in first
        await plane.send(a_record("theirs", calling=line(1)), a_record("ours", called="+442079460099"))
        assert line(1) not in await part(answer)


ENDINGS = ("signing out", "another password", "disabling")


@pytest.mark.parametrize("end", ENDINGS)
async def test_a_stream_ends_with_its_session(plane: Plane, end: str) -> None:
    session = await plane.session("carol")
    async with stream(plane, "/home/events", session) as answer:
        assert await part(answer)
        if end == "signing out":
            assert (await plane.ask("POST", "/logout", session)).status == 303
        elif end == "another password":
            await plane.parts.users.set_password("carol", f"{PASSWORD} anew", "a test")
        else:
            await plane.parts.users.disable("carol", "a test")
        await plane.send(a_record("afterwards", called="+442079460099"))
        rest = (await answer.content.read()).decode()
    assert "+442079460099" not in rest


async def test_too_many_streams_are_told_to_come_later_and_make_room_again(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 1)
    session = await plane.session("oscar")
    async with stream(plane, "/health/events", session) as answer:
        assert await part(answer)
        refused = await plane.ask("GET", "/feeds/events", session)
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
    async with asyncio.timeout(WITHIN_S):
        while (await plane.ask("GET", "/feeds/events", session)).status == 503:
            await asyncio.sleep(0.05)
