"""What is done when an account event fires: alerts, bars, a raised limit; all in the transaction of what caused it."""

import sqlite3
from collections.abc import Callable
from typing import Final

from control import audit, bars
from control.alerts import alert_rows
from control.alerts.alert import Fired as FiredFacts
from control.alerts.alert import LimitRaised, Medium, Occasion
from control.alerts.findings import findings_of
from control.bars import Cause
from control.breaker import Breaker
from control.events.definition import (
    Alert,
    Bar,
    Disconnect,
    EventDefinition,
    RaiseCreditLimit,
)
from control.events.firings import Fired
from rating.account import Account
from rating.money import shown_micros
from rating.store.account_list import lines_with_services

RULE: Final = "rule"
"""As the audit log names an account event that acts."""
_HUNDRED_PERCENT: Final = 100_000_000

SetLimit = Callable[[str, int], None]
"""Puts an account's new credit limit (micro-units) in force for whoever reads it."""


class Responder:
    """Carries out what events prescribe. Called in the store's thread, within the transaction that caused it."""

    def __init__(self, breaker: Breaker, set_limit: SetLimit) -> None:
        self._breaker = breaker
        self._set_limit = set_limit

    def respond(
        self, cx: sqlite3.Connection, firing: int, fired: Fired, event: EventDefinition, account: Account, now: int
    ) -> None:
        """Do what an event prescribes for a firing. A late one, of a period that is over, is told and bars nothing that
        would end with its condition: that is false now."""
        bars_something = False
        for response in event.respond:
            if isinstance(response, Bar) and (not fired.late or response.until == "restored"):
                bars_something |= self._bar(cx, firing, fired, event, response, account, now)
            elif isinstance(response, RaiseCreditLimit) and not fired.late:
                self._raise(cx, firing, event, response, account, now)
            elif isinstance(response, Disconnect):
                undone = f"{event.name}, firing {firing}: not carried out, this version ends sessions by bars only"
                audit.record(cx, now, RULE, "disconnect", f"account {account.account}", undone)
        facts = facts_of(event, fired)
        for alert in event.alert:
            # Where nothing is barred, nothing will be confirmed.
            if alert.when == "fired" or not bars_something:
                tell(cx, account, alert, facts, firing, now)

    def _bar(
        self,
        cx: sqlite3.Connection,
        firing: int,
        fired: Fired,
        event: EventDefinition,
        bar: Bar,
        account: Account,
        now: int,
    ) -> bool:
        """Whether there was anything to bar."""
        targets = bars.targets_of(lines_with_services(cx, account.account), bar.services)
        cause = Cause(
            RULE,
            event.name,
            event=fired.event,
            firing=firing,
            until=bar.until,
            look_at=None if bar.until == "restored" else fired.period_end,
        )
        bars.begin(cx, account.account, targets, cause, self._breaker, now)
        return bool(targets)

    def _raise(
        self,
        cx: sqlite3.Connection,
        firing: int,
        event: EventDefinition,
        raising: RaiseCreditLimit,
        account: Account,
        now: int,
    ) -> None:
        before = account.credit_limit_micros
        if before is None:
            return
        after = before + before * raising.percent_micros // _HUNDRED_PERCENT
        if raising.at_most_micros is not None:
            after = min(after, max(before, raising.at_most_micros))
        if after == before:
            return
        cx.execute(
            "UPDATE accounts SET credit_limit_micros = ? WHERE shard = 0 AND account = ?", (after, account.account)
        )
        self._set_limit(account.account, after)
        change = f"{shown_micros(before)} → {shown_micros(after)} ({event.name}, firing {firing})"
        audit.record(cx, now, RULE, "raise credit limit", f"account {account.account}", change)
        facts = LimitRaised(event.name, now, before, after)
        alert_rows.queue(
            cx, account, facts, by=Medium.EMAIL, to=None, cause=bars.cause_of(firing), now=now, firing=firing
        )


def tell(cx: sqlite3.Connection, account: Account, alert: Alert, facts: Occasion, firing: int, now: int) -> None:
    """Queue what an event's alert says of a firing."""
    alert_rows.queue(
        cx, account, facts, by=Medium(alert.by), to=alert.to, cause=bars.cause_of(firing), now=now, firing=firing
    )


def facts_of(event: EventDefinition, fired: Fired) -> FiredFacts:
    """What is told of a firing."""
    return FiredFacts(event.name, fired.fired_at, findings_of(fired.trace), fired.late)
