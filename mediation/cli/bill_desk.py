"""Handing charges over to whoever owns the store, while the next ones are being made."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from control.billing.billed import Billed
from control.billing.biller import Biller, Posted
from control.billing.charges import Charges
from control.ledger.balances import Balances
from mediation.cli.users_change import actor
from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.schema import all_migrations
from mediation.writer_bills import PATH, Order, packed, unpacked
from mediation.writer_socket import ask_daemon, is_running
from rating.store.sqlite import SqliteStore, open_store


class Desk:
    """Posts parts of a bill run one after the other, in a thread of its own: to the running daemon, or into the store,
    which it then owns until the end."""

    def __init__(self, config: Config, took: Callable[[Posted], None], daemon_only: bool) -> None:
        """`took` is told what became of each part, in the thread of the caller; `daemon_only`: never into the store."""
        self._config, self._took, self._actor = config, took, actor()
        self._thread = ThreadPoolExecutor(1, "bill desk")
        self._pending: Future[Posted] | None = None
        self._runner: asyncio.Runner | None = None
        self._store: SqliteStore | None = None
        # While a daemon runs, or is to come back in a moment, the store is its own.
        self._daemon_only = daemon_only or is_running(config.store.path)

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def hand_over(self, charged: list[Charges]) -> None:
        """Post a part, when the one before is posted. Raises Failure or StoreError, for either."""
        self.finish()
        self._pending = self._thread.submit(self._post, charged)

    def finish(self) -> None:
        """Wait until what was handed over is posted."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._took(pending.result())

    def _post(self, charged: list[Charges]) -> Posted:
        if self._store is None:
            told = ask_daemon(self._config.store.path, "POST", PATH, packed(Order(charged, self._actor)))
            if told is not None:
                self._daemon_only = True  # what it began it ends, or somebody else later
                if told[0] == 200:
                    return unpacked(told[1])
                raise Failure(
                    f"the daemon refused ({told[0]}): look at its log, and start the command again; bills made stay"
                )
            if self._daemon_only:
                raise Failure("the daemon does not run: start the command again; bills made stay")
            self._runner = asyncio.Runner()
            self._store = self._runner.run(open_store(self._config.store.path, all_migrations(), wall_clock()))
        assert self._runner is not None
        # Nobody looks at what this process has in memory: the daemon's next start loads its own.
        biller = Biller(self._store, wall_clock, Balances(), Billed())
        return self._runner.run(biller.post(charged, self._actor))

    def _close(self) -> None:
        if self._runner is not None:
            if self._store is not None:
                self._runner.run(self._store.close())
            self._runner.close()
