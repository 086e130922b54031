"""`bench rate`: pure rating on one core, and loading a deck."""

import resource
import time
from random import Random
from typing import Any, Final

from mediation.bench.site import TARIFF, deck
from rating.cdr import CDR, MICROS
from rating.rater import Rater
from rating.tariff import TariffText, parse_tariff

_PREFIXES: Final = 20_000
_CALLS: Final = 200_000
_ROUNDS: Final = 5


def run_rate(deck_rows: int | None = None) -> dict[str, Any]:
    """The contract's figures: calls rated per second (median of several rounds), and a deck's load."""
    text, prefixes = deck(deck_rows // 2 if deck_rows else _PREFIXES)
    began = time.perf_counter()
    rater = Rater(parse_tariff(TariffText(TARIFF, text, "bench.toml", "bench.csv")))
    load_s = time.perf_counter() - began
    calls = _calls(prefixes)
    rates = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for call in calls:
            rater.charge(call, "Atlantic Telecom", "long-distance")
        rates.append(len(calls) / (time.perf_counter() - began))
    return {
        "calls_per_s": round(sorted(rates)[_ROUNDS // 2]),
        "deck_rows": len(rater.tariff.rows),
        "deck_load_s": round(load_s, 3),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _calls(prefixes: list[str]) -> list[CDR]:
    """Calls to random destinations, spread over a week."""
    rng = Random(2)  # noqa: S311  # to be the same at every run
    monday = 1_795_000_000 * MICROS
    calls = []
    for index in range(_CALLS):
        prefix = rng.choice(prefixes)
        called = prefix + str(rng.randrange(10**7)).rjust(7, "0")
        start_at = monday + rng.randrange(7 * 86_400 * MICROS)
        duration_us = rng.choice((0, rng.randrange(3600 * MICROS), rng.randrange(600) * MICROS))
        calls.append(CDR("pop", f"{index:x}", "12125550142", called, start_at, -300, start_at, duration_us))
    return calls
