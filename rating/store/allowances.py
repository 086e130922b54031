"""What the rules of tariffs have been used, and the charges that they reduce: in the order in which transactions are
stored, in the same store transaction.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from rating.allowances.application import Applied, Key, Reduction, apply
from rating.allowances.parts import Parts
from rating.allowances.rules import Call, Rules
from rating.explanation import exact_text
from rating.store.batch import COLUMN, Row
from rating.store.transactions import in_pieces, insert_into
from rating.tariff import rules_of

MOST_STATES: Final = 200_000
"""States that are kept in memory; with more, all are forgotten, and read again as they are needed."""

_STATE: Final = ("shard", "id", "account", "tariff", "kind", "rule", "measure", "window_at", "used")
REDUCTION: Final = (
    "shard", "transaction_id", "place", "state_id", "used", "percent", "amount", "gross_micros",
)  # fmt: skip

_ID, _ACCOUNT, _TARIFF, _CHARGE = (COLUMN[name] for name in ("id", "account", "tariff", "charge_micros"))
_SERVICE, _DESTINATION, _TYPE, _BILLED = (COLUMN[name] for name in ("service", "destination", "type", "billed_s"))

_StateKey = tuple[str, str, Key]
"""Account, the tariff's name, and the rule in its window."""


class _State:
    """How much of a rule an account has used in a window."""

    __slots__ = ("id", "used")

    def __init__(self, id_: int, used: int) -> None:
        self.id, self.used = id_, used


class Allowances:
    """The uses of one store; for its writer's thread alone.

    All is written at once into the store transaction that is open; what is kept in memory is forgotten when it is
    rolled back. Whoever stores transactions calls `reduce` with them right before they are inserted.
    """

    def __init__(self) -> None:
        self._states: dict[_StateKey, _State] = {}
        self._next_id = 0
        self._tariffs: dict[int, tuple[str, Rules | None]] = {}

    def reduce(self, cx: sqlite3.Connection, rows: Iterable[Row], parts: Mapping[int, Parts]) -> None:
        """Apply the rules of its tariff to each row that has parts, in their order: its charge, which was that without
        rules, becomes what is left. The rows have their ids; the parts are by the `id()` of their row."""
        touched: dict[_StateKey, _State] = {}
        written: list[tuple[Any, ...]] = []
        for row in rows:
            own = parts.get(id(row))
            if own is None:
                continue
            tariff, rules = self._rules(cx, row[_TARIFF])
            if rules is None:
                continue
            applied = self._apply(cx, row, own, tariff, rules)
            for place, reduction in enumerate(applied.reductions):
                key = row[_ACCOUNT], tariff, reduction.key
                state = touched[key] = self._state(cx, key)
                state.used += reduction.used
                written.append((0, row[_ID], place, state.id, *_told(reduction), row[_CHARGE]))
            row[_CHARGE] = applied.charge_micros
        self._write(cx, touched, written)

    def give_back(self, cx: sqlite3.Connection, reversals: Mapping[int, int]) -> None:
        """Transactions were reversed: what they used is unused again, in the windows in which it was. `reversals` has
        the id of the reversal of each; it is explained by the same reductions with the other sign."""
        touched: dict[_StateKey, _State] = {}
        written: list[tuple[Any, ...]] = []
        originals = sorted(reversals)
        for first, end in in_pieces(len(originals)):
            for original, place, used, percent, amount, gross, account, tariff, *key in cx.execute(
                "SELECT r.transaction_id, r.place, r.used, r.percent, r.amount, r.gross_micros, s.account, s.tariff,"
                " s.kind, s.rule, s.measure, s.window_at"
                " FROM charge_reductions r JOIN allowance_state s ON s.shard = r.shard AND s.id = r.state_id"
                f" WHERE r.shard = 0 AND r.transaction_id IN ({', '.join('?' * (end - first))})",
                originals[first:end],
            ).fetchall():
                whole = account, tariff, Key(*key)
                state = touched[whole] = self._state(cx, whole)
                state.used -= used
                taken = exact_text(-Fraction(amount))
                written.append((0, reversals[original], place, state.id, -used, percent, taken, -gross))
        self._write(cx, touched, sorted(written))

    def rolled_back(self) -> None:
        """The open store transaction came to nothing."""
        self._states.clear()
        self._next_id = 0

    def _apply(self, cx: sqlite3.Connection, row: Row, parts: Parts, tariff: str, rules: Rules) -> Applied:
        account = row[_ACCOUNT]

        def used(key: Key) -> int:
            return self._state(cx, (account, tariff, key)).used

        call = Call(row[_SERVICE], row[_DESTINATION], row[_TYPE], parts.is_timed, row[_BILLED])
        return apply(parts, call, rules, used)

    def _rules(self, cx: sqlite3.Connection, number: int) -> tuple[str, Rules | None]:
        """The name and the rules of a tariff's version, for charges in its row's currency."""
        known = self._tariffs.get(number)
        if known is None:
            name, rate, toml, toml_name = cx.execute(
                "SELECT own.name, own.converted_at, base.toml, base.toml_name FROM tariffs own"
                " JOIN tariffs base ON base.id = coalesce(own.base_id, own.id) WHERE own.id = ?",
                (number,),
            ).fetchone()
            rules = rules_of(toml, toml_name)
            if rules is not None and rate is not None:
                rules = rules.converted(Fraction(Decimal(rate)))
            known = self._tariffs[number] = name, rules
        return known

    def _state(self, cx: sqlite3.Connection, key: _StateKey) -> _State:
        state = self._states.get(key)
        if state is None:
            account, tariff, of = key
            found = cx.execute(
                "SELECT id, used FROM allowance_state WHERE shard = 0 AND account = ? AND tariff = ? AND rule = ?"
                " AND kind = ? AND measure = ? AND window_at = ?",
                (account, tariff, of.rule, of.kind, of.measure, of.window_at),
            ).fetchone()
            state = self._states[key] = _State(found[0], int(found[1])) if found else _State(self._new_id(cx), 0)
        return state

    def _new_id(self, cx: sqlite3.Connection) -> int:
        if not self._next_id:
            (self._next_id,) = cx.execute("SELECT coalesce(max(id), 0) + 1 FROM allowance_state").fetchone()
        self._next_id += 1
        return self._next_id - 1

    def _write(
        self, cx: sqlite3.Connection, touched: Mapping[_StateKey, _State], written: Sequence[tuple[Any, ...]]
    ) -> None:
        states = [
            (0, state.id, account, tariff, *key, str(state.used)) for (account, tariff, key), state in touched.items()
        ]
        insert_into(
            cx, "allowance_state", _STATE, states, " ON CONFLICT (shard, id) DO UPDATE SET used = excluded.used"
        )
        insert_into(cx, "charge_reductions", REDUCTION, written)
        if len(self._states) > MOST_STATES:
            self._states.clear()


def _told(reduction: Reduction) -> tuple[int, str | None, str]:
    percent = None if reduction.percent is None else f"{reduction.percent:f}"
    return reduction.used, percent, exact_text(reduction.amount)
