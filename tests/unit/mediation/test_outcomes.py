"""What a sender is told when nothing was stored: why, and when to come again."""

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from mediation.feeds.outcomes import answer
from mediation.pipeline.room import Overloaded
from mediation.pipeline.stopping import Stopping
from rating.store.batch import Outcome


@pytest.mark.parametrize(
    ("fault", "words", "retry_after"),
    [(Overloaded(), "too much is waiting for the store", "1"), (Stopping(), "the daemon is stopping", "5")],
)
async def test_a_refusal_says_why_that_nothing_was_stored_and_when_to_come_again(
    fault: Exception, words: str, retry_after: str
) -> None:
    async def sending() -> Outcome:
        raise fault

    answered = await answer(make_mocked_request("POST", "/v1/transactions"), sending())
    assert (answered.status, answered.headers["Retry-After"]) == (503, retry_after)
    assert isinstance(answered.body, bytes)
    detail = msgspec.json.decode(answered.body)["detail"]
    assert detail.startswith(words)
    assert f"nothing of this request was stored, send it again in {retry_after} s" in detail
