"""Allowances, favourite numbers and discounts once more, written from their description: second by second, in
fractions, with no running sums. It shares no code with the product."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any


@dataclass
class Charged:
    """A call as it was charged, and what it used of each rule."""

    call: dict[str, Any]
    charge: Fraction = Fraction(0)
    billed_s: int = 0
    used: dict[str, int] = field(default_factory=dict)
    """By the allowance's name."""


class NaiveLife:
    """The calls of one account, one after the other, by one tariff: `rates` is its deck as plain values, `rules` its
    rules as their tables say them."""

    def __init__(self, rates: dict[str, Any], rules: dict[str, list[dict[str, Any]]]) -> None:
        self.rates, self.rules = rates, rules
        self.past: list[Charged] = []

    def charge(self, call: dict[str, Any]) -> Charged:
        """Charge a call: `seconds`, `service`, `destination`, `type`, `window` of each period, `favourite` or not."""
        this = Charged(call)
        seconds = self._seconds(call["seconds"])
        this.billed_s = len(seconds)
        connect = self.rates["connect"]
        covered = [False] * len(seconds)
        begun = False
        charge = self._limited(connect, seconds, covered, begun)
        for rule in self.rules.get("allowance", ()):
            kind = next(kind for kind in ("minutes", "calls", "units") if kind in rule)
            left = Fraction(rule[kind]) * (60 if kind == "minutes" else 1) - self._used(rule, call)
            if left <= 0 or not charge or not _is_about(rule, call) or (call["type"] == "message") != (kind == "units"):
                continue
            free = rule.get("connect_fee") == "free"
            before = charge
            if kind == "calls":
                trial = [was or price > 0 for was, price in zip(covered, seconds, strict=True)]
                trial_connect = Fraction(0) if free else connect
                after = self._limited(trial_connect, seconds, trial, True)
                if after == before:
                    continue
                covered, connect, begun, charge = trial, trial_connect, True, after
                this.used[rule["name"]] = 1
                continue
            count = 0
            for place, price in enumerate(seconds):
                if price and not covered[place] and count < left:
                    covered[place] = True
                    count += 1
            if count:
                if free and not begun:
                    connect = Fraction(0)
                begun = True
                charge = self._limited(connect, seconds, covered, begun)
                this.used[rule["name"]] = count
        for rule in self.rules.get("favourites", ()):
            if call["favourite"] and _is_about(rule, call):
                charge -= charge * Fraction(rule["percent"]) / 100
        for rule in self.rules.get("discount", ()):
            if self._counts(rule, call):
                so_far = sum(self._measured(rule, one) for one in self.past if self._same_window(rule, one.call, call))
                for step in reversed(rule["steps"]):
                    if so_far > Fraction(step["above"]):
                        charge -= charge * Fraction(step["percent"]) / 100
                        break
        this.charge = _rounded(charge, self.rates["decimals"], self.rates["rounding"])
        self.past.append(this)
        return this

    def _seconds(self, duration: int) -> list[Fraction]:
        """The price of each billed second."""
        prices: list[Fraction] = []
        while len(prices) < duration:
            row = [row for row in self.rates["steps"] if row["after"] <= len(prices)][-1]
            increment = row["first"] if not prices else row["next"]
            prices += [Fraction(row["rate"]) / row["per"]] * increment
        return prices

    def _limited(self, connect: Fraction, prices: list[Fraction], covered: list[bool], begun: bool) -> Fraction:
        left = sum((price for price, is_covered in zip(prices, covered, strict=True) if not is_covered), Fraction(0))
        charge = connect + left
        least, most = self.rates["least"], self.rates["most"]
        if least is not None and charge < least and (left or not begun):
            return least
        return min(charge, most) if most is not None else charge

    def _used(self, rule: dict[str, Any], call: dict[str, Any]) -> int:
        return sum(one.used.get(rule["name"], 0) for one in self.past if _window(rule, one.call) == _window(rule, call))

    def _counts(self, rule: dict[str, Any], call: dict[str, Any]) -> bool:
        return _is_about(rule, call) and (call["type"] != "message" or rule["on"] == "charges")

    def _same_window(self, rule: dict[str, Any], one: dict[str, Any], call: dict[str, Any]) -> bool:
        return self._counts(rule, one) and _window(rule, one) == _window(rule, call)

    def _measured(self, rule: dict[str, Any], one: Charged) -> Fraction:
        return {"charges": one.charge, "minutes": Fraction(one.billed_s, 60), "calls": Fraction(1)}[rule["on"]]


def _window(rule: dict[str, Any], call: dict[str, Any]) -> int:
    return int(call["window"][rule["per"]])


def _is_about(rule: dict[str, Any], call: dict[str, Any]) -> bool:
    return all(
        call[what] in rule[many]
        for what, many in (("service", "services"), ("destination", "destinations"), ("type", "types"))
        if many in rule
    )


def _rounded(amount: Fraction, decimals: int, rounding: str) -> Fraction:
    quantum = Fraction(1, 10**decimals)
    below = amount // quantum * quantum
    above = below + quantum
    if below == amount or rounding == "down":
        return below
    if rounding == "up":
        return above
    if amount - below != above - amount:
        return below if amount - below < above - amount else above
    if rounding == "half-up":
        return above
    return below if below / quantum % 2 == 0 else above
