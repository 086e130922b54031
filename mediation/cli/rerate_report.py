"""What charging again comes to: the sums, and a file that names each change."""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from mediation.failure import Failure
from rating.money import format_micros, shown_micros
from rating.store.batch import COLUMN
from rating.store.rerating import Correction, Replaced

TOP: Final = 20
"""Destinations and accounts that are named: those whose charges change most."""
CSV_COLUMNS: Final = (
    "transaction", "account", "called", "destination", "old_charge", "new_charge", "difference", "currency",
    "reversal", "replacement",
)  # fmt: skip
_ACCOUNT, _CALLED, _DESTINATION, _CHARGE, _TARIFF = (
    COLUMN[name] for name in ("account", "called", "destination", "charge_micros", "tariff")
)
_NO_CURRENCY: Final = ""

Terms = Mapping[int, tuple[str, str, int]]
"""Name, currency and decimals of every version of a tariff."""


class Change(msgspec.Struct, gc=False):
    """What some transactions were charged, and are charged now, in one currency."""

    transactions: int = 0
    before_micros: int = 0
    after_micros: int = 0

    @property
    def difference_micros(self) -> int:
        """Positive where it costs more."""
        return self.after_micros - self.before_micros

    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            "transactions": self.transactions,
            "before": shown_micros(self.before_micros),
            "after": shown_micros(self.after_micros),
            "difference": shown_micros(self.difference_micros),
        }


class Report:
    """Gathers what a run does."""

    def __init__(self, terms: Terms, file: Path | None) -> None:
        """`file` is written as CSV; `-` is not special. Raises Failure if it cannot be."""
        self._terms = terms
        self._currency_of: dict[int | None, str] = {None: _NO_CURRENCY}
        self._currency_of.update((tariff, currency) for tariff, (_, currency, _) in terms.items())
        self.looked_at = self.changed = self.unchanged = self.passed_over = 0
        self.not_ratable: dict[str, int] = {}
        self._first: dict[str, int] = {}
        """Of each reason: the first transaction."""
        self._destinations: dict[str, dict[str, Change]] = {}
        self._accounts: dict[str, dict[str, Change]] = {}
        """By currency."""
        self._path, self._file = file, None
        if file is not None:
            try:
                self._file = file.open("w", newline="", encoding="utf-8")
            except OSError as error:
                raise Failure(f"{file} cannot be written ({error.strerror}): give another --report", 2) from None
            self._csv = csv.writer(self._file)
            self._csv.writerow(CSV_COLUMNS)

    def close(self) -> None:
        """The file is whole."""
        if self._file is not None:
            self._file.close()

    def unratable(self, transaction: int, reason: str) -> None:
        """A transaction that today's tariffs do not rate is left as it is."""
        self.not_ratable[reason] = self.not_ratable.get(reason, 0) + 1
        self._first.setdefault(reason, transaction)

    @property
    def currencies(self) -> dict[str, Change]:
        """What all of them come to, by currency, in alphabetical order."""
        return {
            currency: Change(
                sum(one.transactions for one in changes.values()),
                sum(one.before_micros for one in changes.values()),
                sum(one.after_micros for one in changes.values()),
            )
            for currency, changes in sorted(self._destinations.items())
        }

    def change(self, row: Sequence[Any], correction: Correction, replaced: Replaced | None) -> None:
        """A transaction that was charged again, or with None would be."""
        self.changed += 1
        old, new = self._currency_of[row[_TARIFF]], self._currency_of[correction.tariff]
        was, now = row[_CHARGE], correction.charge_micros if replaced is None else replaced.charge_micros
        for currency, before, after in ((old, was, now),) if old == new else ((old, was, 0), (new, 0, now)):
            if currency not in self._accounts:
                self._destinations[currency], self._accounts[currency] = {}, {}
            for changes, key in (
                (self._destinations[currency], row[_DESTINATION] or ""), (self._accounts[currency], row[_ACCOUNT]),
            ):  # fmt: skip
                change = changes.get(key)
                if change is None:
                    change = changes[key] = Change()
                change.transactions += 1
                change.before_micros += before
                change.after_micros += after
        if self._file is not None:
            self._csv.writerow([
                row[0], row[_ACCOUNT], f"+{row[_CALLED]}" if row[_CALLED].isdigit() else row[_CALLED],
                row[_DESTINATION] or "", self._amount(was, row[_TARIFF]), self._amount(now, correction.tariff),
                shown_micros(now - was) if old == new else "", old if old == new else f"{old} to {new}",
                *((replaced.reversal, replaced.replacement) if replaced else ("", "")),
            ])  # fmt: skip

    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            "looked_at": self.looked_at,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "not_ratable": self.not_ratable,
            "passed_over": self.passed_over,
            "charges": {currency: change.told() for currency, change in self.currencies.items()},
            "destinations": _top("destination", self._destinations),
            "accounts": _top("account", self._accounts),
        }

    def show(self, is_dry: bool) -> None:
        """For people."""
        would = "would change" if is_dry else "changed"
        print(f"{self.looked_at} transactions looked at: {self.changed} {would}, {self.unchanged} cost what they did")
        for reason, number in sorted(self.not_ratable.items()):
            print(f"{number} cannot be rated today ({reason}) and stay as they are, the first is {self._first[reason]}")
        if self.passed_over:
            print(f"{self.passed_over} were charged again by somebody else in the meantime", file=sys.stderr)
        for currency, change in self.currencies.items():
            print(f"{currency or 'no currency'}: {_words(change)}")
        for heading, changes in (("Destinations", self._destinations), ("Accounts", self._accounts)):
            if changes:
                print(f"{heading} that change most:")
            for key, currency, change in _greatest(changes):
                print(f"  {key or 'none':<24} {currency:<4} {change.transactions:>9}  {_words(change)}")
        if self._path is not None:
            print(f"each change is in {self._path}")

    def _amount(self, micros: int, tariff: int | None) -> str:
        return shown_micros(micros) if tariff is None else format_micros(micros, self._terms[tariff][2])


def _greatest(by_currency: Mapping[str, Mapping[str, Change]]) -> list[tuple[str, str, Change]]:
    named = [(key, currency, change) for currency, changes in by_currency.items() for key, change in changes.items()]
    return sorted(named, key=lambda one: (-abs(one[2].difference_micros), *one[:2]))[:TOP]


def _top(name: str, by_currency: Mapping[str, Mapping[str, Change]]) -> list[dict[str, Any]]:
    return [{name: key, "currency": currency, **change.told()} for key, currency, change in _greatest(by_currency)]


def _words(change: Change) -> str:
    before, after = shown_micros(change.before_micros), shown_micros(change.after_micros)
    sign = "+" if change.difference_micros > 0 else ""
    return f"{before} before, {after} now ({sign}{shown_micros(change.difference_micros)})"
