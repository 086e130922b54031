"""What another version of a tariff changes: the price of a call of three minutes, by prefix, filters and period."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from rating.cdr import UNIT_TYPES
from rating.deck import DeckRow
from rating.periods import TariffCalendar
from rating.pricing import Pricing
from rating.stretches import consume, price_of
from rating.tariff import Tariff

CALL_S: Final = 180
KINDS: Final = ("new", "gone", "dearer", "cheaper", "other_terms")
"""What a price can be that is not the same; the last costs the same for `CALL_S`, and not for every call."""

_Terms = tuple[object, ...]


class Key(NamedTuple):
    """What a price is for."""

    prefix: str
    period: str
    provider: str | None
    service: str | None
    type: str | None


class Change(msgspec.Struct, frozen=True):
    """A price that is not the same."""

    kind: str
    """One of `KINDS`."""
    key: Key
    destination: str | None
    """In the new version, or else in the old one."""
    old: Fraction | None
    """Price of a minute, in a call of `CALL_S` that lies in the period; for messages and data that of one unit. Exact,
    in units of the tariff's currency."""
    new: Fraction | None

    @property
    def percent(self) -> Fraction | None:
        """By how much it becomes dearer; None where there is nothing to compare with."""
        if self.old is None or self.new is None or not self.old:
            return None
        return (self.new - self.old) * 100 / self.old


class Comparison(msgspec.Struct, frozen=True):
    """Two versions of a tariff beside each other."""

    changes: dict[str, list[Change]]
    """By each of `KINDS`: the greatest in percent first; what has no percent in the order of the prefixes."""
    same: int
    differs: list[str]
    """What applies to all prices and is not the same: `currency`, `timezone`, `decimals`, `rounding`, `period`,
    `conversion`, `rules`."""


def compare(old: Tariff | None, new: Tariff) -> Comparison:
    """What `new` changes; without an `old` one all is new."""
    changes: dict[str, list[Change]] = {kind: [] for kind in KINDS}
    before, after = _by_key(() if old is None else old.rows), _by_key(new.rows)
    was, is_ = None if old is None else _Prices(old), _Prices(new)
    same = 0
    for key in before.keys() | after.keys():
        had, has = before.get(key), after.get(key)
        if had is not None and has is not None and _terms(had) == _terms(has):
            same += 1
            continue
        destination = (has or had or [])[0].destination
        a = None if had is None or was is None else was.a_minute(key, had)
        b = None if has is None else is_.a_minute(key, has)
        kind = _kind(a, b)
        changes[kind].append(Change(kind, key, destination, a, b))
    for of_kind in changes.values():
        of_kind.sort(key=_rank)
    return Comparison(changes, same, [] if old is None else _differs(old, new))


class _Prices:
    """The prices of one tariff, by the engine that charges calls."""

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._pricing: dict[str, Pricing] = {}
        self._never = TariffCalendar("UTC", ())
        """Is not asked: the rows of one period hold all the time."""

    def a_minute(self, key: Key, rows: list[DeckRow]) -> Fraction:
        pricing = self._pricing.get(key.period)
        if pricing is None:
            tariff = self._tariff
            pricing = self._pricing[key.period] = Pricing((key.period,), tariff.decimals, tariff.rounding)
        quantity = 1 if key.type in UNIT_TYPES else CALL_S
        stretches = consume(pricing.prepare(rows), self._never, 0, quantity, timed=False)
        assert not isinstance(stretches, str)  # every row set begins at 0, and the call is short
        first = stretches[0].step
        charge = Fraction(first.limited(price_of(stretches)), first.scale.per_unit)
        return charge if quantity == 1 else charge * 60 / CALL_S


def _by_key(rows: Iterable[DeckRow]) -> dict[Key, list[DeckRow]]:
    found: dict[Key, list[DeckRow]] = {}
    for row in rows:
        found.setdefault(Key(row.prefix, row.period, row.provider, row.service, row.type), []).append(row)
    return found


def _terms(rows: list[DeckRow]) -> list[_Terms]:
    """All that a charge depends on, in the order of the steps; the price of a second however it was written."""
    return [
        (
            row.after_s,
            row.connect_fee,
            row.rate if row.per_s == 1 else Fraction(row.rate) / row.per_s,
            row.increments,
            row.max_charge,
            row.min_charge,
        )
        for row in sorted(rows, key=lambda row: row.after_s)
    ]


def _kind(old: Fraction | None, new: Fraction | None) -> str:
    if old is None:
        return "new"
    if new is None:
        return "gone"
    if old == new:
        return "other_terms"
    return "dearer" if new > old else "cheaper"


def _rank(change: Change) -> tuple[bool, Fraction, tuple[str, ...]]:
    percent = change.percent
    key = tuple(part or "" for part in change.key)
    return (True, Fraction(0), key) if percent is None else (False, -abs(percent), key)


def _differs(old: Tariff, new: Tariff) -> list[str]:
    pairs = {
        "currency": (old.currency, new.currency),
        "timezone": (old.timezone, new.timezone),
        "decimals": (old.decimals, new.decimals),
        "rounding": (old.rounding, new.rounding),
        "period": (old.periods, new.periods),
        "conversion": (dict(old.conversion), dict(new.conversion)),
        "rules": (old.rules, new.rules),
    }
    return [name for name, (was, is_) in pairs.items() if was != is_]
