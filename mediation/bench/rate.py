"""`bench rate`: pure rating on one core, and loading a deck."""

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from mediation.bench.site import TARIFF, deck
from rating.allowances.application import Key, apply
from rating.allowances.parts import parts_of
from rating.allowances.rules import Call
from rating.calendar import AccountCalendar
from rating.cdr import CDR, MICROS
from rating.rater import Rater
from rating.tariff import TariffText, parse_tariff

_PREFIXES: Final = 20_000
_CALLS: Final = 200_000
_ROUNDS: Final = 5
_ROWS_OF_PREFIX: Final = {False: 2, True: 5}
"""Rows that a prefix has, by whether the deck is a hard one."""
_WEEK: Final = {False: 1_795_000_000 * MICROS, True: 1_772_582_400 * MICROS}
"""When the week of the calls begins: the hard one has the change to daylight saving in it, 2026-03-08 in New York."""
_ALLOWANCE: Final = """
[[allowance]]
name = "an hour a month"
per = "month"
minutes = 60
"""
_ACCOUNTS: Final = 2_000
"""Accounts that the calls of the hard one are of: each has a hundred, and its allowance is used up by some of them."""
_OF: Final = ("Atlantic Telecom", "long-distance")
"""The provider and service of every call."""


def run_rate(deck_rows: int | None = None, *, hard: bool = False) -> dict[str, Any]:
    """The contract's figures: calls rated per second (median of several rounds), and a deck's load.

    `hard`: each prefix has steps in both periods, a minimum and a cap, the calls lie about a clock change, and each
    goes through an allowance of its account.
    """
    prefixes = deck_rows // _ROWS_OF_PREFIX[hard] if deck_rows else _PREFIXES
    text, chosen = hard_deck(prefixes) if hard else deck(prefixes)
    began = time.perf_counter()
    rater = Rater(parse_tariff(TariffText(TARIFF + _ALLOWANCE * hard, text, "bench.toml", "bench.csv")))
    load_s = time.perf_counter() - began
    # Read here: the calls below are the bench's own, and as large as the deck.
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    calls = _calls(chosen, _WEEK[hard])
    rates = sorted(_rate_of(_charge_with_allowance if hard else _charge, rater, calls) for _ in range(_ROUNDS))
    return {
        "calls_per_s": round(rates[_ROUNDS // 2]),
        "deck_rows": len(rater.tariff.rows),
        "deck_load_s": round(load_s, 3),
        "rss_mb": round(rss_mb, 1),
    }


def hard_deck(prefixes: int) -> tuple[str, list[str]]:
    """The plain deck's prefixes with three steps at peak and two off it, a minimum and a cap; and the prefixes."""
    text, chosen = deck(prefixes)
    header, *rows = text.splitlines()
    lines = [f"{header},min_charge,max_charge"]
    for row in rows:
        prefix, destination, period, _, fee, rate, per_s, increments = row.split(",")
        limits = "0.02,25" if period == "peak" else ","
        for after_s, parts in ((0, 6), (60, 5), (600, 4)) if period == "peak" else ((0, 6), (300, 4)):
            price = f"{int(rate.removeprefix('0.')) * parts / 60_000:.6f}"
            lines.append(f"{prefix},{destination},{period},{after_s},{fee},{price},{per_s},{increments},{limits}")
    return "\n".join(lines) + "\n", chosen


def _rate_of(charge: Callable[[Rater, Sequence[CDR]], None], rater: Rater, calls: Sequence[CDR]) -> float:
    """Calls a second of one core: by the processor's time, so that what else the machine does is left out."""
    began = time.process_time()
    charge(rater, calls)
    return len(calls) / (time.process_time() - began)


def _charge(rater: Rater, calls: Sequence[CDR]) -> None:
    for call in calls:
        rater.charge(call, *_OF)


def _charge_with_allowance(rater: Rater, calls: Sequence[CDR]) -> None:
    """What is done on either side of the seam, but for what the store has to do with it; uses begin at nothing."""
    rules = rater.rules
    assert rules is not None
    calendar = AccountCalendar(rater.tariff.timezone, 1)
    used: list[defaultdict[Key, int]] = [defaultdict(int) for _ in range(_ACCOUNTS)]
    for index, cdr in enumerate(calls):
        charge, stretches = rater.charge_in_parts(cdr, *_OF)
        if not stretches or isinstance(charge, str):
            continue
        own = used[index % _ACCOUNTS]
        call = Call(_OF[1], charge.destination, cdr.type, True, charge.billed_s)
        windows = calendar.month(cdr.answer_at)[0], calendar.cycle(cdr.answer_at)[0]
        applied = apply(parts_of(stretches, *windows, (), is_timed=True), call, rules, own.__getitem__)
        for reduction in applied.reductions:
            own[reduction.key] += reduction.used


def _calls(prefixes: list[str], from_at: int) -> list[CDR]:
    """Calls to random destinations, spread over a week."""
    rng = Random(2)  # noqa: S311  # to be the same at every run
    calls = []
    for index in range(_CALLS):
        prefix = rng.choice(prefixes)
        called = prefix + str(rng.randrange(10**7)).rjust(7, "0")
        start_at = from_at + rng.randrange(7 * 86_400 * MICROS)
        duration_us = rng.choice((0, rng.randrange(3600 * MICROS), rng.randrange(600) * MICROS))
        calls.append(CDR("pop", f"{index:x}", "12125550142", called, start_at, -300, start_at, duration_us))
    return calls
