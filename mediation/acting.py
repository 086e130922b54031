"""Who watches accounts and carries out what follows: events, bars, payments, alerts and access orders, put together."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from access import session_rows
from access.barring import Barring
from access.dispatcher import Dispatcher
from access.sessions import LiveSession, LiveSessions
from control.account_control import AccountControl
from control.alerts.courier import Courier
from control.alerts.mail import Mailer, Tls
from control.alerts.texts import Wording
from control.billing.billed import Billed
from control.billing.biller import Biller
from control.breaker import Breaker
from control.control_room import ControlRoom
from control.ledger.balances import Balances
from control.ledger.exposure import Exposure
from control.ledger.service import Ledger
from mediation.config import Config, Control
from mediation.pipeline.front import Front
from mediation.switches import drivers_of
from rating.counters import Counters
from rating.store.batch import COLUMN, Row
from rating.store.sqlite import SqliteStore

log: Final = logging.getLogger(__name__)

DRAIN_S: Final = 10.0
"""A mail that is being handed over at the end has so long to be settled."""


class Acting:
    """The parts behind the pipeline's watch, and their tasks."""

    def __init__(
        self,
        control: AccountControl,
        room: ControlRoom,
        exposure: Exposure,
        sessions: LiveSessions,
        dispatcher: Dispatcher,
        drivers: Mapping[str, Barring],
        courier: Courier | None,
        biller: Biller,
    ) -> None:
        self.biller = biller
        self.control, self.room, self.exposure, self.sessions = control, room, exposure, sessions
        self._dispatcher, self._drivers, self._courier = dispatcher, drivers, courier
        self._tasks: list[asyncio.Task[None]] = []

    def watch(self, cx: sqlite3.Connection, rows: Sequence[Row], now: int, accounted: Mapping[int, str]) -> bool:
        """Look at new transactions before they are committed, in the store's thread; whether something fired. The call
        of a CDR is over, should its switch report no Stop of it: `accounted` are the sources with accounting, by
        number."""
        if accounted and len(self.sessions):
            for row in rows:
                source = accounted.get(row[COLUMN["source"]])
                if source is not None:
                    self.sessions.deny_called(source, row[COLUMN["record_id"]])
        return self.control.watch(cx, rows, now)

    def began(self, session: LiveSession) -> None:
        """Accounting tells of a session: it may be one of a barred line."""
        self._dispatcher.began(session)

    def wake(self) -> None:
        """Look at what there is to do: somebody has committed orders or alerts."""
        self._dispatcher.wake()
        if self._courier is not None:
            self._courier.wake()

    def acted(self) -> None:
        """A batch's transactions made something fire: there is something to do, and perhaps something to look at again
        when a period ends."""
        self.wake()
        self.room.look_again()

    def start(self) -> "list[asyncio.Task[None]]":
        """Carry out what is due. The tasks that must not end before `stop`."""
        self._tasks = [
            asyncio.create_task(self.room.run(), name="periodic checks"),
            asyncio.create_task(self._dispatcher.run(), name="access orders"),
        ]
        if self._courier is not None:
            self._tasks.append(asyncio.create_task(self._courier.run(), name="alerts"))
        else:
            log.info("alerts wait in the outbox: there is no [mail] section")
        return self._tasks

    async def stop(self) -> None:
        """Orders pause where they stand, and are taken up by the next start; a mail that is on its way is settled."""
        if self._courier is not None:
            self._courier.stop()
            mailing = self._tasks[2:]
            if mailing:
                await asyncio.wait(mailing, timeout=DRAIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for driver in self._drivers.values():
            with contextlib.suppress(OSError):
                await driver.close()


async def acting_on(
    config: Config, store: SqliteStore, counters: Counters, front: Front, clock: Callable[[], int]
) -> Acting:
    """The parts, as the store has them. Raises ConfigError for a switch's command that cannot be read."""
    settings = config.control or Control()
    balances = await store.read(Balances.load)
    billed = await store.read(Billed.load)
    exposure = Exposure(lambda account, _: counters.charges(account) - billed.charged(account), balances)
    control = AccountControl(
        lambda: front.directory.accounts,
        lambda account: exposure.of(account, clock()),
        Breaker(settings.breaker.orders, settings.breaker.per_s),
        settings.periodic_check_s,
        counters.slots,
    )
    await store.transact(lambda cx: control.load(cx, clock()))
    sessions = LiveSessions(await store.read(session_rows.all_live))
    drivers = drivers_of(config, sessions)
    courier = _courier(config, store, control, clock)
    # The dispatcher asks the room whether an order is still wanted, and the room wakes the dispatcher.
    wake: list[Callable[[], None]] = []
    room = ControlRoom(
        store, control, Ledger(store, clock, balances, control.on_entry), clock, lambda: [ring() for ring in wake]
    )
    dispatcher = Dispatcher(
        store,
        drivers,
        room.may_send,
        clock=clock,
        changed=lambda _: courier.wake() if courier else None,  # alerts may have waited for it
        in_same_transaction=control.ordered,
    )
    biller = Biller(store, clock, balances, billed)
    acting = Acting(control, room, exposure, sessions, dispatcher, drivers, courier, biller)
    wake.append(acting.wake)
    return acting


def _courier(config: Config, store: SqliteStore, control: AccountControl, clock: Callable[[], int]) -> Courier | None:
    mail = config.mail
    if mail is None:
        return None
    mailer = Mailer(
        mail.smtp.host, mail.smtp.port, mail.sender, tls=Tls(mail.tls), user=mail.user, password=mail.password
    )
    wording = Wording(config.web.public_url if config.web else None, mail.amounts)
    return Courier(
        store, mailer, clock, orders_of=control.orders_of, wording_of=lambda _: wording, provider=mail.provider
    )
