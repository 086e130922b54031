"""The accounts near their limits: which they are, in which order, and how often all counters are looked through."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rating.account import Account
from rating.cdr import MICROS
from rating.counters import Counters
from tests.builders import NOW, an_account
from web.usage import MOST_NEAR, NearLimits


class Watched:
    """A site as far as usage is concerned, with limits of 100."""

    def __init__(self, charges: Sequence[int]) -> None:
        self.accounts: dict[str, Account] = {
            str(number): an_account(str(number), credit_limit_micros=100) for number in range(len(charges))
        }
        self.counters = Counters(self.accounts)
        for number, charge in enumerate(charges):
            self.charge(str(number), charge)
        self.now = NOW
        self.paid: dict[str, int] = {}
        site: Any = SimpleNamespace(
            clock=lambda: self.now,
            owner=SimpleNamespace(counters=self.counters),
            directory=SimpleNamespace(accounts=self.accounts),
            exposure=SimpleNamespace(of=lambda number, _: self.counters.charges(number) - self.paid.get(number, 0)),
        )
        self.near = NearLimits(site)

    def charge(self, number: str, charge: int) -> None:
        self.counters.count(number, NOW, charge, MICROS)

    async def found(self, after_us: int = 0) -> list[tuple[str, int]]:
        self.now += after_us
        return [(account.account, charged) for account, charged in await self.near.now()]

    async def looked_again(self) -> None:
        """When what is being looked for has been found."""
        assert self.near._looking is not None
        await self.near._looking


async def test_who_has_paid_is_not_near_any_more() -> None:
    watched = Watched([90, 150])
    watched.paid = {"0": 50, "1": 60}
    assert await watched.found() == [("1", 90)]


async def test_those_from_four_fifths_of_their_limit_come_first_with_the_greatest_share() -> None:
    assert await Watched([79, 80, 150, 100]).found() == [("2", 150), ("3", 100), ("1", 80)]


async def test_only_some_are_shown() -> None:
    assert len(await Watched([90] * (MOST_NEAR + 1)).found()) == MOST_NEAR


@pytest.mark.parametrize("limit", [None, 0])
async def test_without_a_limit_nobody_is_near_it(limit: int | None) -> None:
    watched = Watched([90])
    watched.accounts["0"] = an_account("0", credit_limit_micros=limit)
    assert await watched.found() == []


async def test_for_some_seconds_what_was_found_is_shown_again() -> None:
    watched = Watched([79])
    assert await watched.found() == []
    watched.charge("0", 1)
    assert await watched.found(NearLimits.HOLDS_US - 1) == []


async def test_after_them_it_is_looked_again_and_nobody_waits_for_it() -> None:
    watched = Watched([79])
    assert await watched.found() == []
    watched.charge("0", 1)
    assert await watched.found(NearLimits.HOLDS_US) == []
    await watched.looked_again()
    assert await watched.found() == [("0", 80)]


@pytest.mark.parametrize("after_us", [NearLimits.WAIT_AFTER_US, -1])
async def test_what_is_too_old_is_not_shown(after_us: int) -> None:
    watched = Watched([79])
    assert await watched.found() == []
    watched.charge("0", 1)
    assert await watched.found(after_us) == [("0", 80)]
