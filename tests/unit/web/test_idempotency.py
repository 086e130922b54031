"""Answers that are kept: given again, bounded in number, and none for what was not done."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from control.users import Principal, Role, Via
from web.api.idempotency import HEADER, KeptAnswers
from web.refusals import Refused
from web.request import PRINCIPAL
from web.routing import Handler


class Calls:
    """A handler that counts its calls, and fails as told."""

    def __init__(self) -> None:
        self.number = 0
        self.fails: Exception | None = None
        self.status = 200

    async def handle(self, _: web.Request) -> web.StreamResponse:
        self.number += 1
        if self.fails:
            raise self.fails
        return web.Response(text=f"answer {self.number}", status=self.status, headers={"Location": "/made/1"})


async def call(handler: Handler, key: str | None, path: str = "/api/v1/x", name: str = "ada") -> str:
    request = make_mocked_request("POST", path, headers={} if key is None else {HEADER: key})
    request._read_bytes = b"{}"
    request[PRINCIPAL] = Principal(name, Role.STAFF, None, Via.TOKEN)
    answer = await handler(request)
    assert isinstance(answer, web.Response)
    assert answer.headers["Location"] == "/made/1"
    assert answer.text
    return answer.text


async def test_the_same_call_is_answered_again() -> None:
    calls = Calls()
    handler = KeptAnswers().guarded(calls.handle)
    assert [await call(handler, "a") for _ in range(3)] == ["answer 1"] * 3
    assert calls.number == 1


async def test_without_a_key_every_call_is_done() -> None:
    calls = Calls()
    handler = KeptAnswers().guarded(calls.handle)
    assert [await call(handler, None) for _ in range(2)] == ["answer 1", "answer 2"]


async def test_keys_of_others_are_others() -> None:
    handler = KeptAnswers().guarded(Calls().handle)
    assert [await call(handler, "a", name=name) for name in ("ada", "bob", "ada")] == [
        "answer 1",
        "answer 2",
        "answer 1",
    ]


async def test_a_key_with_another_call_is_refused() -> None:
    handler = KeptAnswers().guarded(Calls().handle)
    await call(handler, "a")
    with pytest.raises(Refused, match="another call"):
        await call(handler, "a", "/api/v1/y")


@pytest.mark.parametrize("key", ["k" * 256, "a\x07b"])
async def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(Refused, match="printable"):
        await call(KeptAnswers().guarded(Calls().handle), key)


async def test_what_failed_is_done_when_it_comes_again() -> None:
    calls = Calls()
    handler = KeptAnswers().guarded(calls.handle)
    calls.fails = Refused(503, "later")
    with pytest.raises(Refused):
        await call(handler, "a")
    calls.fails, calls.status = None, 500
    await call(handler, "a")
    calls.status = 200
    assert [await call(handler, "a") for _ in range(2)] == ["answer 3"] * 2


async def test_the_oldest_answers_are_let_go() -> None:
    handler = KeptAnswers(most=2).guarded(Calls().handle)
    for key in ("a", "b", "c"):
        await call(handler, key)
    assert [await call(handler, key) for key in ("c", "b", "a")] == ["answer 3", "answer 2", "answer 4"]
