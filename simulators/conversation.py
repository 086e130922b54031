"""How a call goes: how long it rings, whether anyone answers, how long they talk."""

from dataclasses import dataclass
from random import Random
from typing import Final

UNANSWERED_SHARE: Final = 0.28
"""Of all calls."""

_LONGEST_TALK_S: Final = 4 * 3600
_TALK_SIGMA: Final = 1.2
"""Spread of the log-normal: the mean talk is twice the median."""

NORMAL_CLEARING: Final = 16
_USER_BUSY: Final = 17
_NO_ANSWER: Final = 19
_UNALLOCATED: Final = 1

_FAILURES: Final = {_NO_ANSWER: (0.62, 18_000, 40_000), _USER_BUSY: (0.33, 500, 3_000), _UNALLOCATED: (0.05, 200, 900)}
"""Cause (ITU-T Q.850) of an unanswered call: its share, and the shortest and longest ring in milliseconds."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The times of one call, in milliseconds."""

    ring_ms: int
    """From the start to the answer, or to giving up."""
    talk_ms: int
    """From the answer to the end; 0 is a call that was not answered."""
    cause: int
    """Release cause, ITU-T Q.850."""


def draw_conversation(median_talk_s: float, rng: Random) -> Conversation:
    """A call whose talk, if it is answered, has this median; never below a second nor above four hours."""
    if rng.random() < UNANSWERED_SHARE:
        cause = rng.choices(tuple(_FAILURES), [share for share, _, _ in _FAILURES.values()])[0]
        _, shortest_ms, longest_ms = _FAILURES[cause]
        return Conversation(rng.randint(shortest_ms, longest_ms), 0, cause)
    ring_ms = int(min(45.0, 1.0 + rng.lognormvariate(1.9, 0.6)) * 1000)
    talk_s = min(_LONGEST_TALK_S, max(1.0, median_talk_s * rng.lognormvariate(0.0, _TALK_SIGMA)))
    return Conversation(ring_ms, int(talk_s * 1000), NORMAL_CLEARING)
