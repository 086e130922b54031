"""The rating engine and the naive rater agree about random tariffs and calls.

TOLLKEEPER_AGREEMENT_CALLS and TOLLKEEPER_AGREEMENT_SEED widen the search; tariff k of a seed is the same in every run.
"""

import copy
import os
import re
import traceback
from collections import Counter
from datetime import datetime
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from rating.cdr import CDR, MICROS
from rating.explanation import as_json
from rating.rater import Charge, Rater
from rating.tariff import TariffError, TariffText, parse_tariff
from tests.naive_rater import Answer, NaiveRater, Run
from tests.random_tariffs import REFUSALS, Material, Refusal, random_call, random_tariff

CALLS = int(os.environ.get("TOLLKEEPER_AGREEMENT_CALLS", "20000"))
SEED = os.environ.get("TOLLKEEPER_AGREEMENT_SEED", "2026")
CALLS_PER_TARIFF = 25
BATCHES = 10
LARGEST = 2**63 - 1
"""Micro-units that fit a store: beyond, the engine has a reason of its own to suspend the call."""
AMOUNT = re.compile(r"\d+(\.\d+)?|\d+/\d+")
DECIMAL = re.compile(r"\d+(\.\d+)?")


def _text(material: Material) -> TariffText:
    return TariffText(toml=material.toml, deck=material.deck, toml_name="odd.toml", deck_name="odd.csv")


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_engine_agrees_with_the_naive_rater(batch: int) -> None:
    tariffs = -(-CALLS // CALLS_PER_TARIFF)
    for number in range(batch, tariffs, BATCHES):
        rng = Random(f"{SEED}/{number}")
        material = random_tariff(rng)
        rater = Rater(parse_tariff(_text(material)))
        naive = NaiveRater(material.toml, material.deck)
        for _ in range(CALLS_PER_TARIFF):
            cdr, provider, service = random_call(rng, material)
            expected = naive.rate(cdr, provider, service)
            charged, explained = _answers(rater, cdr, provider, service)
            faults = _faults(naive, cdr, expected, charged, explained)
            if faults:
                pytest.fail(
                    f"seed {SEED}, tariff {number}: {'; '.join(faults)}\n\n{material.toml}\n{material.deck}\n"
                    f"{cdr}\nprovider={provider!r} service={service!r}\n\nnaive:  {expected}\n"
                    f"charge: {charged}\nexplain: {explained}",
                    pytrace=False,
                )


def _answers(
    rater: Rater, cdr: CDR, provider: str | None, service: str | None
) -> tuple[Charge | str, dict[str, Any] | str]:
    """The charge, and the explanation as JSON; an exception in words, so that it is reported with its tariff."""
    try:
        charged = rater.charge(cdr, provider, service)
        explanation = rater.explain(cdr, provider, service)
        return charged, explanation if isinstance(explanation, str) else as_json(cdr.id, explanation)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return trace, trace


def _faults(
    naive: NaiveRater, cdr: CDR, expected: Answer | str, charged: Charge | str, explained: dict[str, Any] | str
) -> list[str]:
    """What differs, in words; nothing when they agree."""
    if isinstance(expected, Answer) and expected.charge * MICROS > LARGEST:
        expected = "out-of-range"
    if isinstance(expected, str) or isinstance(charged, str) or isinstance(explained, str):
        return [] if expected == charged == explained else ["one suspends the record or fails, another does not"]
    amounts = [Fraction(run["amount"]) for run in explained["explain"]]
    pairs: list[tuple[str, object, object]] = [
        ("charge", expected.charge * MICROS, charged.charge_micros),
        ("billed_s", expected.billed_s, charged.billed_s),
        ("destination", expected.destination, charged.destination),
        ("place_called", expected.place_called, charged.place_called),
        ("id explained", cdr.id, explained["id"]),
        ("currency explained", "USD", explained["currency"]),
        ("charge explained", expected.charge, Fraction(explained["charge"])),
        ("decimals explained", naive.decimals, len(explained["charge"].partition(".")[2])),
        ("billed_s explained", expected.billed_s, explained["billed_s"]),
        ("destination explained", expected.destination, explained["destination"]),
        ("place_called explained", expected.place_called, explained["place_called"]),
        ("connect_fee explained", expected.connect_fee, Fraction(explained["connect_fee"])),
        ("capped explained", expected.capped, explained["capped"]),
        ("runs", list(expected.runs), [_run(entry) for entry in explained["explain"]]),
        ("clocks", [_clock(naive, run) for run in expected.runs], [run["from"][-6:] for run in explained["explain"]]),
        ("sum of amounts", expected.exact, sum(amounts, Fraction(explained["connect_fee"]))),
        ("sum of seconds", expected.billed_s, sum(entry["seconds"] for entry in explained["explain"])),
    ]
    pairs += [(f"{key} is decimal", True, bool(DECIMAL.fullmatch(explained[key]))) for key in ("charge", "connect_fee")]
    pairs += [("amount's form", True, bool(AMOUNT.fullmatch(entry["amount"]))) for entry in explained["explain"]]
    return [f"{what}: naive {mine!s}, engine {theirs!s}" for what, mine, theirs in pairs if mine != theirs]


def _run(entry: dict[str, Any]) -> Run:
    return Run(
        datetime.fromisoformat(entry["from"]),
        entry["period"],
        entry["seconds"],
        Fraction(entry["rate"]),
        entry["per_s"],
        Fraction(entry["amount"]),
    )


def _clock(naive: NaiveRater, run: Run) -> str:
    return run.from_.astimezone(naive.zone).isoformat()[-6:]


def test_the_random_calls_are_of_every_kind() -> None:
    """Two raters that agree about nothing in particular would prove nothing."""
    seen: Counter[str] = Counter()
    for number in range(60):
        rng = Random(f"{SEED}/{number}")
        material = random_tariff(rng)
        naive = NaiveRater(material.toml, material.deck)
        for _ in range(CALLS_PER_TARIFF):
            cdr, provider, service = random_call(rng, material)
            answer = naive.rate(cdr, provider, service)
            if isinstance(answer, str):
                seen[answer] += 1
                continue
            seen["unanswered"] += answer.billed_s == 0
            seen["capped"] += answer.capped
            seen["raised"] += answer.charge > answer.exact + 1
            seen["a step or period later"] += len({(run.rate, run.per_s) for run in answer.runs}) > 1
            seen["two periods"] += len({run.period for run in answer.runs}) > 1
            seen["over a clock change"] += len({_clock(naive, run) for run in answer.runs}) > 1
            seen["past the end"] += answer.billed_s * MICROS > cdr.duration_us > 0
    assert min(seen.values()) > 0, seen


def test_the_naive_rater_rates_the_contracts_own_tariff() -> None:
    toml = (
        'name = "standard"\ncurrency = "USD"\ntimezone = "America/New_York"\ndecimals = 4\nrounding = "half-up"\n'
        'deck = "standard.csv"\n[[period]]\nname = "off-peak"\ndays = "mon-sun"\nfrom = "00:00"\nto = "24:00"\n'
        '[[period]]\nname = "peak"\ndays = "mon-fri"\nfrom = "08:00"\nto = "19:00"\npriority = 10\n'
    )
    deck = (
        "prefix,destination,period,after_s,connect_fee,rate,per_s,increments\n"
        "4420,London,peak,0,0.20,1.20,60,60/60\n4420,London,peak,60,0,1.20,60,1/1\n4420,London,off-peak,0,0.10,0.01,1,1/1\n"
    )
    answer_at = int(datetime.fromisoformat("2026-11-20T09:07:35-05:00").timestamp()) * MICROS
    cdr = CDR("pop", "a", "12125550142", "442079460018", answer_at, -300, answer_at, 61 * MICROS)
    answer = NaiveRater(toml, deck).rate(cdr, None, None)
    assert isinstance(answer, Answer)
    assert (answer.charge, answer.billed_s) == (Fraction("1.42"), 61)
    assert [(run.seconds, run.amount) for run in answer.runs] == [(60, Fraction("1.2")), (1, Fraction("0.02"))]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.fault)
def test_a_spoilt_tariff_is_refused_with_its_file_and_fault(refusal: Refusal) -> None:
    for number in range(5):
        rng = Random(f"{SEED}/{refusal.fault}/{number}")
        good = random_tariff(rng)
        parse_tariff(_text(good))
        spoilt = copy.deepcopy(good)
        refusal.spoil(spoilt, rng)
        with pytest.raises(TariffError) as refused:
            parse_tariff(_text(spoilt))
        message = str(refused.value)
        assert ("odd.toml" if refusal.file == "toml" else "odd.csv") in message
        assert re.search(refusal.hint, message.replace("odd.toml", "").replace("odd.csv", ""), re.IGNORECASE), message
        assert "\n" not in message
