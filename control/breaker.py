"""The breaker: so many automatic bars in so long a time, and further ones wait for a person.

A tariff that is wrong by a factor of a thousand must not bar a city.
"""

import sqlite3

from access import order_rows
from access.orders import State
from rating.cdr import MICROS


class Breaker:
    """Counts automatic bars of the whole site. Asked in the store's thread, within the transaction that bars."""

    def __init__(self, orders: int, per_s: int) -> None:
        """`orders` automatic bars within `per_s` seconds go through."""
        self._orders, self._per_us = orders, per_s * MICROS

    def asked(self, cx: sqlite3.Connection, now: int) -> str | None:
        """Whether a further automatic bar has to wait: None if not, else why, in words."""
        # The reason of the bar that asks is written already.
        if not self._is_exceeded(cx, now) and not self.is_open(cx):
            return None
        return (
            f"the breaker holds it: more than {self._orders} automatic bars in {self._per_us // MICROS // 60} min;"
            " release it, or cancel it"
        )

    def _is_exceeded(self, cx: sqlite3.Connection, now: int) -> bool:
        """Counts no further than it has to: every bar of a mass of them asks."""
        (last,) = cx.execute("SELECT coalesce(max(id), 0) FROM bar_reasons").fetchone()
        if last <= self._orders:
            return False  # there never were so many
        (number,) = cx.execute(
            "SELECT count(*) FROM (SELECT 1 FROM bar_reasons WHERE firing IS NOT NULL AND began_at > ? LIMIT ?)",
            (max(now - self._per_us, self._closed_at(cx)), self._orders + 1),
        ).fetchone()
        return int(number) > self._orders

    @staticmethod
    def is_open(cx: sqlite3.Connection) -> bool:
        """Whether orders wait for a person: then all that follow do."""
        return bool(order_rows.listed(cx, states=[State.HELD], limit=1))

    @staticmethod
    def close(cx: sqlite3.Connection, now: int) -> None:
        """A person has dealt with what was held: count anew from here."""
        cx.execute(
            "INSERT INTO breaker VALUES (0, ?) ON CONFLICT (shard) DO UPDATE SET closed_at = excluded.closed_at", (now,)
        )

    @staticmethod
    def _closed_at(cx: sqlite3.Connection) -> int:
        found = cx.execute("SELECT closed_at FROM breaker WHERE shard = 0").fetchone()
        return int(found[0]) if found else 0
