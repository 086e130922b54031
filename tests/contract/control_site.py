"""A daemon's parts that watch and act, on a real store, with a switch and a clock by hand; and what its tests send."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from access.dispatcher import Dispatcher
from access.orders import Order
from control.bars import Reason
from control.events.definition_json import parse_event
from control.events.event_rows import StoredEvent
from mediation.acting import Acting, acting_on
from mediation.config import read_config
from mediation.directory_builder import DirectoryBuilder
from mediation.pipeline.front import Front
from mediation.pipeline.metrics import PipelineMetrics
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import FrontHere
from mediation.pipeline.recycling import Recycler
from mediation.provisions import Provisions, load_counters
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.batch import Batch, Row
from rating.store.sqlite import SqliteStore, open_store
from tests.builders import ACCOUNT, CALLING, NOW, a_batch, accounts_csv, cdr_json, lines_csv
from tests.switch_by_hand import SwitchByHand, Time, Turn

ADA: Final = "staff:ada"
LD, VM = "long-distance", "voice-mail"
TEN_MINUTES: Final = 600
"""Of a call to London: it costs 12.20, where the limit is 20.00."""
DAY_US: Final = 86_400 * MICROS
OTHER, OTHER_LINE = "4000054321", "12125550199"
STRANGER: Final = "19995550100"
WITHIN_S: Final = 20
CONFIG: Final = """
[store]
url = "sqlite:///tollkeeper.db"
[ops]
listen = "127.0.0.1:0"
[switches.kam1]
driver = "kamailio"
url = "http://127.0.0.1:9/RPC"
[control]
breaker = { orders = 3, per = "10m" }
"""


def accounts(limit: str = "20.00") -> str:
    rows = (f"{account},Ada,ada@customers.example,USD,UTC,{limit},standard,,1" for account in (ACCOUNT, OTHER))
    return accounts_csv(*rows)


def lines(*more: str) -> str:
    return lines_csv(
        *(f"+{line},{account},Transcontinental,{service},kam1,," for line, account in
          ((CALLING, ACCOUNT), (OTHER_LINE, OTHER)) for service in (LD, VM)),
        *more,
    )  # fmt: skip


def over_limit(*services: str, until: str = "cleared", **fields: Any) -> dict[str, Any]:
    """An event on every account: over its credit limit, and then barred."""
    return {
        "accounts": {"all": True},
        "name": "Over the limit",
        "when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True},
        "alert": [{"by": "email"}],
        "respond": [{"do": "bar", "services": list(services or (LD,)), "until": until}],
        **fields,
    }


def over_five(period: str, **fields: Any) -> dict[str, Any]:
    return over_limit(**{"when": {"measure": "charges", "period": period, "above": "5.00"}, "name": "Five", **fields})


class ControlSite:
    """A daemon's parts without its sockets: a store, its owner, who acts, and a switch by hand."""

    store: SqliteStore
    acting: Acting

    def __init__(self, directory: Path) -> None:
        self.path = directory / "tollkeeper.db"
        self.file = directory / "tollkeeper.toml"
        self.file.write_text(CONFIG)
        self.time = Time()
        self.time.now = NOW
        self.switch = SwitchByHand(Turn)
        self.calls = 0
        self.is_open = False

    async def open(self) -> None:
        self.store = await open_store(self.path, all_migrations(), self.time.now)
        self.is_open = True
        self.source = (await self.store.register_sources(["pop-nyc"]))["pop-nyc"]
        builder = DirectoryBuilder(None)
        self.front = Front(builder.build(await self.store.provisioned()))
        counters = await load_counters(self.store, self.front.directory.accounts)
        self.acting = await acting_on(read_config(self.file), self.store, counters, self.front, self.time)
        self.control, self.room = self.acting.control, self.acting.room
        self.owner = StoreOwner(
            self.store,
            counters,
            PipelineMetrics(CollectorRegistry(), {"pop-nyc": self.source}),
            max_queued=1000,
            max_commit=1000,
            watch=self._watch,
        )
        self.provisions = Provisions(self.store, builder, self.front, self.owner, self.time, self.room.follow)
        self.recycler = Recycler(self.store, FrontHere(self.front), self.owner, self.time, {"pop-nyc": self.source})
        self.writing = asyncio.create_task(self.owner.run())
        self.fails = False

    def _watch(self, cx: sqlite3.Connection, rows: Sequence[Row]) -> bool:
        fired = self.control.watch(cx, rows, self.time.now)
        if self.fails:
            assert cx.execute("SELECT count(*) FROM access_orders").fetchone() == (1,), "nothing to undo"
            raise RuntimeError("interrupted")
        return fired

    async def close(self) -> None:
        self.is_open = False
        self.owner.stop()
        await asyncio.wait({self.writing})
        self.writing.cancelled() or self.writing.exception()
        await self.acting.stop()
        await self.store.close()

    async def restart(self) -> None:
        await self.close()
        await self.open()

    def batch(self, *records: bytes) -> Batch:
        return a_batch(self.front.directory, *records, source=self.source, arrived_at=self.time.now)

    async def send(self, *records: bytes) -> None:
        await self.owner.put(self.batch(*records))

    async def call(self, seconds: int = TEN_MINUTES, *, times: int = 1, **fields: Any) -> None:
        """So many calls, in one batch."""
        records = []
        for _ in range(times):
            self.calls += 1
            records.append(cdr_json(id=f"c{self.calls}", duration=seconds, service=LD, **fields))
        await self.send(*records)

    async def prescribe(self, document: dict[str, Any]) -> StoredEvent:
        return await self.room.add_event(parse_event(document), ADA)

    async def pay(self, units: int, account: str = ACCOUNT) -> None:
        """More than is due may be paid here."""
        self.calls += 1
        await self.room.ledger.pay(account, units * MICROS, "USD", actor=ADA, key=f"key {self.calls}")

    async def tick(self) -> int | None:
        return await self.store.transact(lambda cx: self.control.tick(cx, self.time.now))

    async def orders(self, account: str | None = ACCOUNT) -> list[Order]:
        return (await self.room.orders(account))[::-1]

    async def said(self, account: str | None = ACCOUNT) -> list[str]:
        """Every order: its action, its service and its state."""
        return [f"{order.action} {order.target.service} {order.state}" for order in await self.orders(account)]

    async def reasons(self) -> list[Reason]:
        return await self.room.barred(ACCOUNT)

    async def firings(self) -> list[tuple[str, bool]]:
        return [(firing.threshold, firing.late) for firing in (await self.room.firings())[::-1]]

    async def alerts(self) -> list[str]:
        """What is in the outbox, by kind."""
        return [str(alert.facts.__struct_config__.tag) for alert in (await self.room.alerts())[::-1]]

    async def limit(self) -> int | None:
        return await self.store.read(
            lambda cx: cx.execute("SELECT credit_limit_micros FROM accounts WHERE account = ?", (ACCOUNT,)).fetchone()[
                0
            ]
        )

    async def carry_out(self) -> None:
        """Run a dispatcher until nothing that is not held is open; its clock goes on where it waits."""
        dispatcher = Dispatcher(
            self.store, {"kam1": self.switch}, self.room.may_send, clock=self.time, sleep=self.time.sleep,
            chance=lambda: 0.0, in_same_transaction=self.control.ordered,
        )  # fmt: skip
        running = asyncio.create_task(dispatcher.run())
        try:
            async with asyncio.timeout(WITHIN_S):
                while any(order.is_open and order.state != "held" for order in await self.orders(None)):
                    assert not running.done(), running.exception()
                    for _ in range(50):
                        await Turn()
                    waiting = [order.next_at for order in await self.orders(None) if order.next_at is not None]
                    if waiting:  # who went to sleep as the clock went on may wake a little later than that
                        self.time.advance(max(self.time.now + MICROS // 50, min(waiting)))
        finally:
            running.cancel()
            await asyncio.wait({running})

    @property
    def barred(self) -> set[str]:
        """The services of the account's line that are barred at the switch."""
        return {key.service for key in self.switch.barred if key.line == CALLING}
