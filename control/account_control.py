"""Control over accounts: events watched, answered with alerts and bars, and taken back when their reason is gone.

Everything that changes something runs in the store's thread, within one store transaction with what caused it; couriers
and dispatchers act on the rows afterwards.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from access.orders import Action, Order, State
from access.target import Target
from control import audit, bars
from control.alerts.alert import Alert as QueuedAlert
from control.alerts.situation import OrderNow
from control.bars import Cause, Reason
from control.breaker import Breaker
from control.events import checks, event_rows
from control.events.account_view import Accounts
from control.events.definition import EventDefinition
from control.events.event_rows import State as EventState
from control.events.event_rows import StoredEvent
from control.events.firings import Firings
from control.events.monitor import EventMonitor
from control.events.past import StoredPast
from control.ledger.entry import Entry, Kind
from control.responses import Responder
from rating.account import Account
from rating.account_slots import AccountSlots
from rating.cdr import MICROS
from rating.store.account_list import lines_with_services
from rating.store.batch import Row

PRUNE_EVERY_US: Final = 3_600 * MICROS
_WORDS: Final = {Kind.CREDIT: "a credit was granted", Kind.REVERSAL: "an entry was taken back"}
"""What is said of the entries after which a bar is given back."""

Directory = Callable[[], dict[str, Account]]
"""The accounts as of now; an account in it is replaced when its credit limit is raised."""


class Refused(Exception):
    """A change that cannot be made, in words."""


class AccountControl:
    """The events, bars and their reasons. All methods but `__init__` are called in the store's thread."""

    def __init__(
        self,
        accounts: Directory,
        exposure_of: Callable[[str], int],
        breaker: Breaker,
        periodic_check_s: int,
        slots: AccountSlots | None = None,
    ) -> None:
        """`exposure_of`: what an account owes now, micro-units; `periodic_check_s`: how often events are checked that
        do not say it themselves; `slots`: the counters', which look at the same transactions."""
        self._accounts = accounts
        self.exposure_of: Final = exposure_of
        self._breaker = breaker
        self._periodic_check_s = periodic_check_s
        self._view = Accounts({}, {}, exposure_of, self._limit_of)
        self.monitor = EventMonitor(self._view, slots)
        self._responder = Responder(breaker, self._set_limit)
        self._definitions: dict[int, EventDefinition] = {}
        self._pruned_at = 0

    def load(self, cx: sqlite3.Connection, now: int) -> None:
        """Stand where the store is, at the start."""
        self._view.accounts = self._accounts()
        self._view.opened_at = event_rows.opened_at(cx, self._view.accounts)
        self.monitor.load(cx, now)
        self._definitions = {event.id: event.definition for event in event_rows.list_events(cx)}

    # What is watched.

    def watch(self, cx: sqlite3.Connection, rows: Sequence[Row], now: int) -> bool:
        """Look at new transactions, after the counters counted them and before they are committed. Whether something
        fired."""
        firings = self.monitor.watch(rows, now, StoredPast(cx))
        self._answer(cx, firings, now)
        return bool(firings.fired)

    def on_entry(self, cx: sqlite3.Connection, entry: Entry, now: int) -> None:
        """A payment or credit was recorded, or one was taken back: look whether that takes the reason of a bar away, or
        makes an event true that has not fired for its period and threshold."""
        self._recheck(cx, entry.account, _WORDS.get(entry.kind, "a payment was received"), now)

    def follow(self, cx: sqlite3.Connection, now: int) -> None:
        """Other accounts, lines or tariffs are in force. A limit that was raised while they were read stays raised."""
        accounts = self._accounts()
        for number, limit in cx.execute("SELECT account, credit_limit_micros FROM accounts WHERE shard = 0"):
            if number in accounts and accounts[number].credit_limit_micros != limit:
                accounts[number] = accounts[number].with_terms(credit_limit_micros=limit)
        for number in self.monitor.follow(accounts, event_rows.opened_at(cx, accounts)):
            self._recheck(cx, number, "the credit limit was changed", now)

    def tick(self, cx: sqlite3.Connection, now: int) -> int | None:
        """Check what is due on the clock; when to come again, µs UTC."""
        for event in event_rows.due_events(cx, now):
            found = checks.gather_check(cx, event, self._view, now)
            firings = checks.conclude(cx, found, self._view, self.monitor.marks, now, self._periodic_check_s)
            self._answer(cx, firings or Firings(), now)
        due = bars.due(cx, now)
        over = [reason for reason in due if reason.until == "period-end"]
        if over:
            bars.end(cx, over, "the period is over", now)
        for account in dict.fromkeys(reason.account for reason in due if reason.until == "cleared"):
            self._recheck(cx, account, "the condition is false now", now)
        if now - self._pruned_at > PRUNE_EVERY_US:
            self._pruned_at = now
            self.monitor.prune(now)
        instants = [at for at in (event_rows.next_due_at(cx), bars.next_look_at(cx)) if at is not None]
        return min(instants, default=None)

    # What people do.

    def add_event(self, cx: sqlite3.Connection, definition: EventDefinition, actor: str, now: int) -> StoredEvent:
        """Prescribe an event; what it holds for already fires at once. Raises Refused."""
        self._check_accounts(definition)
        if definition.check.once_at is not None and definition.check.once_at < now:
            raise Refused(f"check.once: {definition.check.once} is over: write an instant to come")
        event = event_rows.insert_event(cx, definition, actor, now, self._periodic_check_s)
        audit.record(cx, now, actor, "add account event", f"event {event.id}", definition.name)
        self._definitions[event.id] = definition
        self._answer(cx, self.monitor.add(cx, event, now), now)
        return event

    def change_event(
        self, cx: sqlite3.Connection, number: int, definition: EventDefinition, actor: str, now: int
    ) -> StoredEvent:
        """Prescribe something else. Raises Refused."""
        self._check_accounts(definition)
        was = self._known(cx, number)
        event = event_rows.change_event(cx, number, definition, now, self._periodic_check_s)
        audit.record(cx, now, actor, "change account event", f"event {number}", definition.name)
        self._definitions[number] = definition
        if was.state == "active":
            self._answer(cx, self.monitor.add(cx, event, now), now)
            for account in dict.fromkeys(reason.account for reason in bars.open_of_event(cx, number)):
                self._recheck(cx, account, "its account event was changed", now)
        return event

    def set_event_state(
        self, cx: sqlite3.Connection, number: int, state: EventState, actor: str, now: int
    ) -> StoredEvent:
        """Pause an event, take it up again, or delete it. What it barred until its condition is false is given back
        when it is deleted. Raises Refused."""
        self._known(cx, number)
        event_rows.set_state(cx, number, state, now)
        audit.record(cx, now, actor, f"set account event {state}", f"event {number}")
        event = event_rows.event_by_id(cx, number)
        assert event is not None
        if state == "active":
            self._answer(cx, self.monitor.add(cx, event, now), now)
        else:
            self.monitor.remove(cx, number, now)
        if state == "deleted":
            self._definitions.pop(number, None)
            reasons = [reason for reason in bars.open_of_event(cx, number) if reason.until == "cleared"]
            self._end(reasons, cx, "its account event was deleted", now)
        return event

    def bar(
        self, cx: sqlite3.Connection, account: str, services: Sequence[str], actor: str, words: str, now: int
    ) -> list[Order]:
        """Bar services of an account by hand (none named: all), with a reason. Raises Refused."""
        targets = self._targets(cx, account, services)
        audit.record(cx, now, actor, "bar", f"account {account}", f"{', '.join(services) or 'all services'}: {words}")
        return bars.begin(cx, account, targets, Cause(actor, words), self._breaker, now)

    def restore(
        self, cx: sqlite3.Connection, account: str, services: Sequence[str], actor: str, words: str, now: int
    ) -> list[Order]:
        """Restore services of an account by hand, whatever barred them. Raises Refused."""
        targets = self._targets(cx, account, services)
        audit.record(
            cx, now, actor, "restore", f"account {account}", f"{', '.join(services) or 'all services'}: {words}"
        )
        return bars.free_by_hand(cx, account, targets, actor, words, now)

    # What becomes of orders.

    def ordered(self, cx: sqlite3.Connection, order: Order) -> None:
        """An order changed its state, in this transaction: alerts that wait for confirmed bars may be due."""
        if order.action is Action.BAR and order.state in (State.CONFIRMED, State.FAILED):
            for firing in bars.firings_barring(cx, order.target):
                bars.tell_confirmed(cx, order.account, firing, order.ended_at or order.planned_at)

    @staticmethod
    def orders_of(cx: sqlite3.Connection, alert: QueuedAlert) -> list[OrderNow]:
        """The orders that belong to an alert's firing, as its text tells them."""
        if alert.firing is None:
            return []
        until = bars.ways_back(cx, alert.firing)
        return [
            OrderNow(
                order.action, order.target.service, order.target.number, order.state, until.get(order.target.key, "")
            )
            for order in bars.orders_behind(cx, alert.account, alert.firing)
        ]

    # How.

    def _answer(self, cx: sqlite3.Connection, firings: Firings, now: int) -> None:
        """Write what fired, do what is prescribed, and go on while that makes something true."""
        while firings.fired or firings.marks:
            raised: set[str] = set()
            for number, fired in event_rows.write_firings(cx, firings):
                definition, account = self._definitions[fired.event], self._accounts()[fired.account]
                self._responder.respond(cx, number, fired, definition, account, now)
                bars.tell_confirmed(cx, fired.account, number, now)
                if self._limit_of(fired.account) != account.credit_limit_micros:
                    raised.add(fired.account)
            firings = Firings()
            for account_number in sorted(raised):  # a raised limit is a new threshold, compared at once
                found = self._look_anew(cx, account_number, "the credit limit was raised", now)
                firings.fired += found.fired
                firings.marks += found.marks

    def _recheck(self, cx: sqlite3.Connection, account: str, words: str, now: int) -> None:
        """Look at an account's events anew, and answer what that finds."""
        if account in self._view.accounts:
            self._answer(cx, self._look_anew(cx, account, words, now), now)

    def _look_anew(self, cx: sqlite3.Connection, account: str, words: str, now: int) -> Firings:
        """Give back what is barred for a condition that is false now, and look at the others again later; what fires
        now."""
        recheck = self.monitor.recheck(account, now, StoredPast(cx))
        open_reasons = [r for r in bars.open_of_account(cx, account) if r.until == "cleared" and r.event is not None]
        # What a paused event barred is neither held up nor given back by what it would say.
        holding, cleared = set(recheck.holding), set(recheck.cleared)
        self._end([r for r in open_reasons if r.event in cleared], cx, words, now)
        bars.look_again(cx, [r for r in open_reasons if r.event in holding], recheck.look_again_at)
        return recheck.firings

    def _end(self, reasons: list[Reason], cx: sqlite3.Connection, words: str, now: int) -> None:
        if reasons:
            bars.end(cx, reasons, words, now)

    def _targets(self, cx: sqlite3.Connection, account: str, services: Sequence[str]) -> list[Target]:
        if account not in self._accounts():
            raise Refused(f"there is no account {account}")
        lines = lines_with_services(cx, account)
        unknown = sorted(set(services) - {line.service for line in lines})
        if unknown:
            raise Refused(f"account {account} has no service {', '.join(unknown)}")
        targets = bars.targets_of(lines, services)
        if not targets:
            raise Refused("none of these services has a switch: name it in lines.csv, and import that again")
        return targets

    def _check_accounts(self, definition: EventDefinition) -> None:
        unknown = [number for number in definition.accounts.numbers if number not in self._accounts()]
        if unknown:
            raise Refused(f"accounts.numbers: there is no account {unknown[0]}")

    @staticmethod
    def _known(cx: sqlite3.Connection, number: int) -> StoredEvent:
        event = event_rows.event_by_id(cx, number)
        if event is None or event.state == "deleted":
            raise Refused(f"there is no account event {number}")
        return event

    def _limit_of(self, account: str) -> int | None:
        found = self._accounts().get(account)
        return found.credit_limit_micros if found else None

    def _set_limit(self, account: str, micros: int) -> None:
        accounts: dict[str, Any] = self._accounts()
        accounts[account] = accounts[account].with_terms(credit_limit_micros=micros)
        view: Mapping[str, Account] = self._view.accounts
        if view is not accounts and isinstance(view, dict):
            view[account] = accounts[account]
