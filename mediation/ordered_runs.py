"""Bill runs that a message orders: kept in order, and made one at a time by another process."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from control import audit
from mediation.own_command import CommandFailed, run_command
from rating.store.port import Store

log: Final = logging.getLogger(__name__)

MOST_WAITING: Final = 100
"""Runs that were ordered and have not begun, at most."""


class OrderedRuns:
    """Takes orders for bill runs while the daemon runs, each done by `tollkeeper bill-run`.

    A run's id says what it bills, `2026-10` or `2026-10-4000000003`: what is ordered again is the same run, which makes
    no bill twice. An order that the daemon's end overtakes is not taken up again: it is sent again.
    """

    def __init__(self, config: Path, store: Store, clock: Callable[[], int]) -> None:
        """`config` is the daemon's file."""
        self._config, self._store, self._clock = config, store, clock
        self._waiting: dict[str, tuple[str, ...]] = {}
        self._come = asyncio.Event()

    async def order(self, period: str, account: str | None, actor: str) -> str | None:
        """The id of the run of a valid period, of all accounts or one; None if too many wait. It is in the audit log
        when this returns."""
        run = period if account is None else f"{period}-{account}"
        if run not in self._waiting:
            if len(self._waiting) >= MOST_WAITING:
                return None
            self._waiting[run] = ("--period", period, *(() if account is None else ("--account", account)))
            self._come.set()
        subject, detail = f"run {run}", f"{period}, {'all accounts' if account is None else f'account {account}'}"
        await self._store.transact(
            lambda cx: audit.record(cx, self._clock(), actor, "order a bill run", subject, detail)
        )
        return run

    async def run(self) -> None:
        """Make what is ordered, until it is cancelled."""
        while True:
            await self._come.wait()
            self._come.clear()
            while self._waiting:
                run = next(iter(self._waiting))
                # Ordered again from here on, it is made again: somebody may have been imported meanwhile.
                await self._make(run, self._waiting.pop(run))

    async def _make(self, run: str, arguments: tuple[str, ...]) -> None:
        try:
            answer = await run_command("bill-run", self._config, *arguments)
        except CommandFailed as failure:
            log.error("the ordered bill run %s %s: %s", run, failure.how, failure)
            return
        log.info("ordered bill run", extra={"run": run, **msgspec.json.decode(answer, type=dict[str, object])})
