"""Imports and what follows from them: the store's rows, the directory, the counters' periods.

One place does it for the running daemon, which takes the work over a socket, and for a command that has the store to
itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from operator import itemgetter
from typing import Final

from mediation.directory_builder import DirectoryBuilder
from mediation.pipeline.front import Front
from mediation.pipeline.owner import StoreOwner
from rating.account import Account
from rating.counters import Counters
from rating.directory import Directory
from rating.store.port import Noted, Store, unnoted
from rating.store.provisioned import Provisioned
from rating.store.retired import retired_sums
from rating.tariff import Tariff, TariffText, parse_tariff

log: Final = logging.getLogger(__name__)

_WITHOUT_ID: Final = itemgetter(1, 2, 3, 4)


async def _nowhere_else(_default_tariff: str | None) -> None:
    """Nobody else rates."""


class Provisions:
    """Takes imports while the daemon runs; each is in force when its call returns, and `noted` in its transaction."""

    def __init__(
        self,
        store: Store,
        builder: DirectoryBuilder,
        front: Front,
        owner: StoreOwner,
        clock: Callable[[], int],
        followed: Callable[[], Awaitable[None]],
        elsewhere: Callable[[str | None], Awaitable[None]] = _nowhere_else,
    ) -> None:
        """`followed` is told when another directory is in force; `elsewhere` has other processes follow what is in the
        store, with this default tariff."""
        self._followed = followed
        self._elsewhere = elsewhere
        self._store = store
        self._builder = builder
        self._front = front
        self._owner = owner
        self._clock = clock
        self._turn = asyncio.Lock()

    async def import_accounts(self, text: str, noted: Noted = unnoted) -> int:
        """An accounts.csv, all or nothing; how many. Raises ProvisioningError."""
        # At a standstill: a snapshot of the counters between the import and what follows from it would be of periods
        # that the accounts no longer have.
        async with self._turn, self._owner.standstill():
            number = await self._store.import_accounts(text, self._clock(), noted)
            directory = await self._built()
            if self._owner.counters.follow(directory.accounts):
                log.info("the zone or cycle day of accounts with usage has changed: counting all transactions again")
                await recount_into(self._owner.counters, self._store)
                self._owner.snapshot_is_gone()
            # The counters first: a record that is guided by the new directory must find its account there.
            await self._put_in_force(directory)
            return number

    async def import_lines(self, text: str, noted: Noted = unnoted) -> int:
        """A lines.csv, all or nothing; how many. Raises ProvisioningError."""
        async with self._turn:
            number = await self._store.import_lines(text, noted)
            await self._put_in_force(await self._built())
            return number

    async def import_favourites(self, text: str, noted: Noted = unnoted) -> int:
        """A favourites.csv, all or nothing; how many numbers. Raises ProvisioningError."""
        async with self._turn:
            number = await self._store.import_favourites(text, noted)
            await self._put_in_force(await self._built())
            return number

    async def import_tariff(self, text: TariffText, noted: Callable[[Tariff], Noted] = lambda _: unnoted) -> int:
        """A tariff with its deck; its version's number. Raises TariffError."""
        tariff = await asyncio.to_thread(parse_tariff, text)
        async with self._turn:
            number = await self._store.import_tariff(text, tariff, self._clock(), noted(tariff))
            await self._put_in_force(await self._built())
            return number

    async def use_default_tariff(self, name: str | None) -> None:
        """Rate from now on by this tariff where neither line nor account names one."""
        async with self._turn:
            self._builder.use_default_tariff(name)
            await self._put_in_force(await self._built())

    async def _put_in_force(self, directory: Directory) -> None:
        self._front.directory = directory
        await self._followed()

    async def _built(self) -> Directory:
        """Of what is in the store now. Other processes rate by it from before the end on: what they make of an account
        that is new waits for the end of the import, as its caller stands still."""
        known = self._front.directory.accounts  # most stay what they are: a million twice would take much memory
        provisioned = await self._store.provisioned(with_lines=self._builder.guides, known=known)
        built, _ = await asyncio.gather(
            asyncio.to_thread(self._builder.build, provisioned), self._elsewhere(self._builder.default_tariff)
        )
        return built


async def import_accounts_alone(store: Store, text: str, now: int, noted: Noted = unnoted) -> int:
    """Import an accounts.csv into a store that no daemon owns; how many. Raises ProvisioningError.

    The stored counters follow if the zone or cycle day of an account has changed.
    """
    counters = await load_counters(store, _by_number(await store.provisioned(with_lines=False)))
    number = await store.import_accounts(text, now, noted)
    if counters.follow(_by_number(await store.provisioned(with_lines=False))):
        await recount_into(counters, store)
        await store.save_snapshot(counters.covers_id, counters.parts())
    return number


def _by_number(provisioned: Provisioned) -> dict[str, Account]:
    return {account.account: account for account in provisioned.accounts}


async def load_counters(store: Store, accounts: dict[str, Account]) -> Counters:
    """The counters as the stored snapshot has them, with everything after it."""
    counters = Counters(accounts)
    covers_id, parts = await store.snapshot()
    counters.restore(covers_id, parts)
    await _replay(counters, store)
    return counters


async def recount_into(counters: Counters, store: Store) -> None:
    """Project the counters again, from the first transaction on; the caller keeps new ones away."""
    counters.restore(0, [])
    await _replay(counters, store)


async def _replay(counters: Counters, store: Store) -> None:
    replayed = 0
    if not counters.covers_id:  # a snapshot has them already
        for some in await store.read(lambda cx: list(retired_sums(cx))):
            counters.count_retired(some)
    async for chunk in store.replay(counters.covers_id):
        counters.count_all(map(_WITHOUT_ID, chunk))
        replayed += len(chunk)
    counters.covers_id = max(counters.covers_id, store.last_id)
    if replayed:
        log.info("counters replayed", extra={"transactions": replayed, "covers_id": counters.covers_id})
