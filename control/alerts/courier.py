"""The task that takes alerts out of the outbox and sends them by mail, each at most once."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Final

from control.alerts import alert_rows
from control.alerts.alert import PROVIDER, Alert, is_mailbox
from control.alerts.mail import Delivery, Mailer, Outcome
from control.alerts.message import message_bytes
from control.alerts.situation import OrdersOf, situation_of
from control.alerts.texts import Wording, letter
from rating.cdr import MICROS
from rating.store.port import Store

log: Final = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 60
LONGEST_RETRY_S: Final = 3600
GIVEN_UP_AFTER_S: Final = 86_400
AT_ONCE: Final = 100
"""Alerts taken out of the outbox at a time."""
LOOK_S: Final = 60
"""The outbox is looked into so often even if nobody says that something is due: clocks are set."""
INTERRUPTED: Final = (
    "the daemon ended while this was being handed to the mail server: it may have gone out, so it is not sent again"
)


def retry_after_s(tries: int) -> int | None:
    """How long to wait after so many tries that failed: a minute, doubling to an hour; None once a day has gone."""
    waited = 0
    delay = FIRST_RETRY_S
    for _ in range(tries - 1):
        waited += delay
        delay = min(2 * delay, LONGEST_RETRY_S)
    return delay if waited + delay <= GIVEN_UP_AFTER_S else None


class Courier:
    """Sends what is due in the outbox. Mail has no way to be sent exactly once: an alert is marked durably right before
    it is handed over, and one that is found so marked after a crash is not sent again, but shown.

    `wording_of` says for an account what its letters may hold; `provider` is where the provider's own alerts go.
    """

    def __init__(
        self,
        store: Store,
        mailer: Mailer,
        clock: Callable[[], int],
        *,
        orders_of: OrdersOf,
        wording_of: Callable[[str], Wording] = lambda _: Wording(),
        provider: str | None = None,
    ) -> None:
        self._store, self._mailer, self._clock = store, mailer, clock
        self._orders_of, self._wording_of, self._provider = orders_of, wording_of, provider
        self._woken = asyncio.Event()
        self._ending = False

    def wake(self) -> None:
        """Something may have come into the outbox; called in the event loop, after the commit."""
        self._woken.set()

    def stop(self) -> None:
        """Let `run` end when the alert that is being handed over is settled."""
        self._ending = True
        self._woken.set()

    async def run(self) -> None:
        """Send what is due until `stop`. Only the store's failure ends it otherwise."""
        await self.recover()
        while True:
            self._woken.clear()
            await self.deliver_due()
            if self._ending:
                return
            due_at = await self._store.read(lambda cx: alert_rows.next_due_at(cx, provider=self._knows_provider))
            wait_s: float = LOOK_S if due_at is None else min(LOOK_S, max(0, due_at - self._clock()) / MICROS)
            try:
                await asyncio.wait_for(self._woken.wait(), wait_s)
            except TimeoutError:
                continue

    async def recover(self) -> int:
        """Look at what an earlier process left being handed over, before anything is sent; how many."""
        interrupted = await self._store.transact(alert_rows.set_interrupted, INTERRUPTED)
        if interrupted:
            log.warning("alerts with an unknown end: look at them and send them again if need be: %d", interrupted)
        return interrupted

    async def deliver_due(self) -> None:
        """Send everything that is due now."""
        try:
            while not self._ending and (due := await self._due()):
                await self._deliver(due)
        finally:
            await self._mailer.rest()

    async def _due(self) -> list[Alert]:
        now = self._clock()
        return await self._store.read(
            lambda cx: alert_rows.due(cx, now, AT_ONCE, provider=self._knows_provider),
        )

    async def _deliver(self, due: list[Alert]) -> None:
        for index, alert in enumerate(due):
            if self._ending:
                return
            delivery = await self._sent(alert)
            if delivery.outcome is Outcome.UNREACHABLE:
                # It would be the same for the others; each waits by its own tries.
                await self._store.transact(_settle_all, due[index:], delivery, self._clock())
                log.warning("alerts wait: %s", delivery.words)
                return
            await self._store.transact(_settle, alert, delivery, self._clock())
            log.info("alert", extra={"alert": alert.id, "outcome": delivery.outcome.value, "answer": delivery.words})

    async def _sent(self, alert: Alert) -> Delivery:
        recipient = (self._provider or "") if alert.recipient == PROVIDER else alert.recipient
        if not is_mailbox(recipient):
            return Delivery(Outcome.NEVER, "the recipient is no e-mail address that mail servers take")

        async def take() -> bytes | None:
            return await self._store.transact(self._begin, alert.id, recipient, self._clock())

        return await self._mailer.send(recipient, take)

    def _begin(self, cx: sqlite3.Connection, number: int, recipient: str, now: int) -> bytes | None:
        """Mark an alert and write its text, in one transaction: what it says is true as of the mark."""
        alert = alert_rows.begin_sending(cx, number)
        if alert is None:
            return None
        written = letter(alert, situation_of(cx, alert, self._orders_of), self._wording_of(alert.account))
        return message_bytes(alert, written, sender=self._mailer.sender, recipient=recipient, now=now)

    @property
    def _knows_provider(self) -> bool:
        return self._provider is not None


def _settle_all(cx: sqlite3.Connection, due: list[Alert], delivery: Delivery, now: int) -> None:
    for alert in due:
        _settle(cx, alert, delivery, now)


def _settle(cx: sqlite3.Connection, alert: Alert, delivery: Delivery, now: int) -> None:
    """Write down what became of an alert."""
    match delivery.outcome:
        case Outcome.TAKEN:
            alert_rows.set_sent(cx, alert.id, now, delivery.words)
        case Outcome.UNKNOWN:
            alert_rows.set_unknown(cx, alert.id, delivery.words)
        case Outcome.NEVER:
            alert_rows.set_failed(cx, alert.id, delivery.words)
        case Outcome.WITHDRAWN:
            pass
        case Outcome.LATER | Outcome.UNREACHABLE:
            delay_s = retry_after_s(alert.tries + 1)
            if delay_s is None:
                alert_rows.set_failed(cx, alert.id, f"given up after a day: {delivery.words}")
            else:
                alert_rows.postpone(cx, alert.id, now + delay_s * MICROS, delivery.words)
