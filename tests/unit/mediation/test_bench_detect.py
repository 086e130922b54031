"""What `bench detect` takes for a failure: a line that was barred twice, not at all, or that nobody called for."""

from typing import Any

import pytest

from mediation.bench.detect import latencies_s
from mediation.failure import Failure

POSTED = {0: [10.0], 1: [11.0]}


def noted(*barred: tuple[int, float], strangers: int = 0) -> dict[str, Any]:
    return {"acknowledged_at_s": barred, "strangers": strangers}


def test_a_latency_is_from_the_post_to_the_bar() -> None:
    assert latencies_s(2, POSTED, noted((1, 11.25), (0, 10.5))) == [0.5, 0.25]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (noted((0, 10.5)), "1 lines were barred, and should have been 2"),
        (noted((0, 10.5), (1, 11.5), (1, 11.6)), "1 lines were barred more than once"),
        (noted((0, 10.5), (1, 11.5), (2, 11.6)), "3 lines were barred"),
        (noted((0, 10.5), (1, 11.5), strangers=1), "not live"),
    ],
)
def test_what_should_not_have_been_fails(said: dict[str, Any], words: str) -> None:
    with pytest.raises(Failure, match=words):
        latencies_s(2, POSTED, said)
