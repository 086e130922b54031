"""`import tariff --preview`: what a tariff changes, and what a month's traffic would have cost under it."""

import sqlite3
import sys
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from mediation.cli.options import print_json, reading
from mediation.config import Config
from mediation.daemon import wall_clock
from rating.cdr import MICROS, UNIT_TYPES
from rating.deck_comparison import KINDS, Change, Comparison, compare
from rating.money import shown_micros
from rating.store import reratable
from rating.store.partitions import last_id
from rating.store.provisioning import tariff_terms
from rating.store.reading import instant_text
from rating.store.tariff_versions import charged_by, version_in_force
from rating.tariff import Tariff, parse_tariff
from rating.traffic_comparison import InCurrency, Sums, TrafficComparison

_SHOWN: Final = 20
_WORDS: Final = {"new": "new", "gone": "gone", "dearer": "dearer", "cheaper": "cheaper", "other_terms": "other terms"}


def preview(config: Config, versions: tuple[Tariff, ...], traffic: str | None, as_json: bool) -> None:
    """Print what the first of some versions changes against the one in force now; the others hold later. `traffic` is
    a month, YYYY-MM, in the tariff's zone."""
    new = versions[0]
    with reading(config) as cx:
        found = version_in_force(cx, new.name, wall_clock())
        old = None if found is None else parse_tariff(found[1])
        changed = compare(old, new)
        sums = None if traffic is None else _traffic(cx, new, traffic)
    told = {
        "tariff": new.name,
        "currency": new.currency,
        "valid_from": _from(new),
        "later": [_from(version) for version in versions[1:]],
        "against": None if found is None or old is None else {"version": found[0], "valid_from": _from(old)},
        "differs": changed.differs,
        "counts": {**{kind: len(changed.changes[kind]) for kind in KINDS}, "same": changed.same},
        "changes": {kind: [_change(one) for one in changed.changes[kind][:_SHOWN]] for kind in KINDS},
        "traffic": None if sums is None else {"month": traffic, "currencies": [_money(*item) for item in sums.items()]},
    }
    if as_json:
        print_json(told)
    else:
        _show(told, changed)


def _traffic(cx: sqlite3.Connection, new: Tariff, month: str) -> dict[str, InCurrency]:
    from_at, to_at = _bounds(month, ZoneInfo(new.timezone))
    currencies = {number: currency for number, (_, currency, _) in tariff_terms(cx).items()}
    comparison, upto = TrafficComparison(new, currencies), last_id(cx)
    ids, done, is_watched = reratable.count(cx, upto), 0, sys.stderr.isatty()
    for gone_through, rows in charged_by(cx, new.name, from_at, to_at, upto):
        for row, gross_micros in rows:
            comparison.add(row, gross_micros)
        done += gone_through
        if is_watched:
            print(f"\r{done} of {ids} transactions gone through ", end="", file=sys.stderr, flush=True)
    if is_watched:
        print(file=sys.stderr)
    return dict(sorted(comparison.by_currency.items()))


def _bounds(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """First instant of a local month and of the next one, µs UTC."""
    first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=zone)
    following = (first + timedelta(days=32)).replace(day=1)
    return int(first.timestamp()) * MICROS, int(following.timestamp()) * MICROS


def _from(tariff: Tariff) -> str | None:
    return None if tariff.valid_from_at is None else instant_text(tariff.valid_from_at)


def _change(change: Change) -> dict[str, Any]:
    percent = change.percent
    return {
        **change.key._asdict(),
        "destination": change.destination,
        "per": "unit" if change.key.type in UNIT_TYPES else "minute",
        "old": _price(change.old),
        "new": _price(change.new),
        "percent": None if percent is None else _rounded(percent, 1),
    }


def _money(currency: str, sums: InCurrency) -> dict[str, Any]:
    return {
        "currency": currency,
        **_sums(sums.charged),
        "destinations": [{"destination": name, **_sums(one)} for name, one in sums.greatest(_SHOWN)],
        "suspended": {
            reason: {"calls": one.calls, "old": shown_micros(one.old_micros)} for reason, one in sums.suspended.items()
        },
    }


def _sums(sums: Sums) -> dict[str, Any]:
    changed = sums.new_micros - sums.old_micros
    return {
        "calls": sums.calls,
        "old": shown_micros(sums.old_micros),
        "new": shown_micros(sums.new_micros),
        "change": shown_micros(changed),
        "percent": _rounded(Fraction(changed * 100, sums.old_micros), 1) if sums.old_micros else None,
    }


def _price(price: Fraction | None) -> str | None:
    """With four places, or as many more, up to eight, as it needs."""
    if price is None:
        return None
    text = _rounded(price, 8)
    return text[: max(len(text.rstrip("0")), len(text) - 4)]


def _rounded(value: Fraction, places: int) -> str:
    """A decimal with so many places, rounded half to even."""
    digits = round(abs(value) * 10**places)
    sign = "-" if value < 0 and digits else ""
    whole, rest = divmod(digits, 10**places)
    return f"{sign}{whole}.{rest:0{places}d}"


def _show(told: dict[str, Any], changed: Comparison) -> None:
    other, against = told["against"], "nothing in force"
    if other:
        against = f"version {other['version']}, {_since(other['valid_from'])}"
    print(f"tariff {told['tariff']}, {_since(told['valid_from'])}: against {against}")
    for instant in told["later"]:
        print(f"  the deck has rows that come into force later: a version {_since(instant)} is not shown here")
    if told["differs"]:
        print(f"  not the same for all prices: {', '.join(told['differs'])}")
    print(f"prices of a minute in a call of three, {told['currency']}; nothing was imported")
    for kind in KINDS:
        found = told["changes"][kind]
        print(f"{_WORDS[kind]}: {len(changed.changes[kind])}")
        for one in found:
            print(f"  {_line(one)}")
        if len(changed.changes[kind]) > len(found):
            print(f"  and {len(changed.changes[kind]) - len(found)} more")
    print(f"same: {changed.same}")
    if told["traffic"] is not None:
        _show_traffic(told["traffic"])


def _since(instant: str | None) -> str:
    return "in force always" if instant is None else f"in force from {instant}"


def _line(one: dict[str, Any]) -> str:
    filters = ", ".join(one[name] for name in ("provider", "service", "type") if one[name])
    percent = "" if one["percent"] is None else f"  {_signed(one['percent'])} %"
    prices = " -> ".join(price for price in (one["old"], one["new"]) if price is not None)
    unit = " a unit" if one["per"] == "unit" else ""
    return (
        f"{one['prefix'] or '(all)':<16} {(one['destination'] or '')[:30]:<30} {one['period']:<12}"
        f" {f'{filters}  ' if filters else ''}{prices}{unit}{percent}"
    )


def _show_traffic(traffic: dict[str, Any]) -> None:
    print(f"traffic of {traffic['month']} that this tariff charged, before allowances and discounts:")
    if not traffic["currencies"]:
        print("  none")
    for sums in traffic["currencies"]:
        currency = sums["currency"]
        print(f"  {sums['calls']} calls: {_moved(sums)} {currency}")
        for reason, left_out in sums["suspended"].items():
            print(f"  {left_out['calls']} calls that cost {left_out['old']} {currency} would be suspended: {reason}")
        for one in sums["destinations"]:
            print(f"    {(one['destination'] or '(none)')[:30]:<30} {one['calls']:>9} calls  {_moved(one)}")


def _moved(sums: dict[str, Any]) -> str:
    percent = "" if sums["percent"] is None else f", {_signed(sums['percent'])} %"
    return f"{sums['old']} -> {sums['new']} ({_signed(sums['change'])}{percent})"


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"
