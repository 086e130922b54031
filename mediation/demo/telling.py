"""What is told of a story: its steps as they are observed, each after how long, and the one that was not."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mediation.demo.billing import BillRunFailed
from mediation.demo.visitor import Unanswered

T = TypeVar("T")

_LOOK_EVERY_S: Final = 0.05


class NotSo(Exception):
    """Something came that is not what the story says; the message says what."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A step that was observed."""

    step: str
    what: str
    after_s: float
    """Since the story began."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The step that was not observed: the story ends with it."""

    step: str
    awaited: str


@dataclass(slots=True)
class Told:
    """A story as far as it was told."""

    observed: list[Observed] = field(default_factory=list)
    missing: Missing | None = None


class Awaiting:
    """What is awaited just now, in words: what to say if it does not come."""

    def __init__(self) -> None:
        self.words = ""

    async def until(self, words: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """What `look` finds, as soon as it is there."""
        self.words = words
        while not (found := await look()):  # noqa: ASYNC110  # what is looked for happens elsewhere
            await asyncio.sleep(_LOOK_EVERY_S)
        return found

    def make_sure(self, words: str, *, holds: bool) -> None:
        """Raises NotSo for what does not hold."""
        self.words = words
        if not holds:
            raise NotSo


async def tell_steps(
    steps: Sequence[tuple[str, Callable[[], Awaitable[str]]]],
    awaiting: Awaiting,
    say: Callable[[str], None],
    within_s: float,
) -> Told:
    """Play steps until one is not observed within so long; each gives what was observed."""
    told, began = Told(), time.monotonic()
    for step, play in steps:
        try:
            async with asyncio.timeout(within_s):
                what = await play()
        except TimeoutError:
            told.missing = Missing(step, f"{awaiting.words} (waited {within_s:g} s)")
        except NotSo:
            told.missing = Missing(step, awaiting.words)
        except (Unanswered, BillRunFailed) as error:
            told.missing = Missing(step, f"{awaiting.words}: {error}")
        if told.missing is not None:
            return told
        seen = Observed(step, what, round(time.monotonic() - began, 3))
        told.observed.append(seen)
        say(f"{step:<9}{what} ({seen.after_s:.1f} s)")
    return told
