"""How the demo's story is told: steps that are observed, and the first that is not, with what was awaited."""

import asyncio

from mediation.demo.billing import BillRunFailed
from mediation.demo.telling import Awaiting, Missing, Told, tell_steps
from mediation.demo.visitor import Unanswered


class Story:
    """Three steps; the second one ends as it is told."""

    def __init__(self, fault: Exception | None = None, *, comes: bool = True) -> None:
        self.awaiting, self.said = Awaiting(), list[str]()
        self._fault, self._comes = fault, comes

    async def first(self) -> str:
        return "a call"

    async def second(self) -> str:
        self.awaiting.words = "the bill"
        if self._fault is not None:
            raise self._fault
        if not self._comes:
            await asyncio.Event().wait()
        self.awaiting.make_sure("a bill of 5", holds=True)
        return "bill 1"

    async def third(self) -> str:
        self.awaiting.make_sure("nothing", holds=False)
        return "never"

    async def told(self, *, within_s: float = 20) -> Told:
        plays = [("calls", self.first), ("bill", self.second), ("refused", self.third)]
        return await tell_steps(plays, self.awaiting, self.said.append, within_s)


def steps(told: Told) -> list[tuple[str, str]]:
    return [(seen.step, seen.what) for seen in told.observed]


async def test_steps_are_said_as_they_are_observed_until_one_is_not_so() -> None:
    story = Story()
    told = await story.told()
    assert steps(told) == [("calls", "a call"), ("bill", "bill 1")]
    assert told.missing == Missing("refused", "nothing")
    assert [line.split()[0] for line in story.said] == ["calls", "bill"]
    assert told.observed[0].after_s <= told.observed[1].after_s


async def test_what_does_not_come_in_time_is_named_with_what_was_awaited() -> None:
    told = await Story(comes=False).told(within_s=0.01)
    assert steps(told) == [("calls", "a call")]
    assert told.missing == Missing("bill", "the bill (waited 0.01 s)")


async def test_what_is_refused_is_named_in_the_words_of_the_refusal() -> None:
    for fault in (Unanswered("GET /x was answered 500"), BillRunFailed("no such account")):
        told = await Story(fault).told()
        assert told.missing == Missing("bill", f"the bill: {fault}")


async def test_until_gives_what_is_found() -> None:
    found = iter([None, None, 7])

    async def look() -> int | None:
        return next(found)

    awaiting = Awaiting()
    async with asyncio.timeout(20):
        assert await awaiting.until("seven", look) == 7
    assert awaiting.words == "seven"
