"""The rating engine and the naive rater agree about random tariffs and calls.

TOLLKEEPER_AGREEMENT_CALLS and TOLLKEEPER_AGREEMENT_SEED widen the search; tariff k of a seed is the same in every run.
"""

import copy
import os
import re
import traceback
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating.cdr import CDR, MICROS, UNIT_TYPES
from rating.explanation import as_json
from rating.rater import Charge, Rater
from rating.tariff import TariffError, TariffText, parse_tariff
from tests.naive_rater import Answer, NaiveRater, Run
from tests.random_tariffs import REFUSALS, SKIPPED, Material, Refusal, random_call, random_tariff

CALLS = int(os.environ.get("TOLLKEEPER_AGREEMENT_CALLS", "20000"))
SEED = os.environ.get("TOLLKEEPER_AGREEMENT_SEED", "2026")
CALLS_PER_TARIFF = 25
BATCHES = 10
LARGEST = 2**63 - 1
"""Micro-units that fit a store: beyond, the engine has a reason of its own to suspend the call."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AMOUNT = re.compile(r"\d+(\.\d+)?|\d+/\d+")
DECIMAL = re.compile(r"\d+(\.\d+)?")


def _text(material: Material) -> TariffText:
    return TariffText(toml=material.toml, deck=material.deck, toml_name="odd.toml", deck_name="odd.csv")


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_engine_agrees_with_the_naive_rater(batch: int) -> None:
    tariffs = -(-CALLS // CALLS_PER_TARIFF)
    for number in range(batch, tariffs, BATCHES):
        _compare(Random(f"{SEED}/{number}"), CALLS_PER_TARIFF, f"seed {SEED}, tariff {number}")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False))
def test_what_differs_is_shrunk(rng: Random) -> None:
    """The same, drawn by hypothesis: of a tariff and call that differ it shows the least."""
    _compare(rng, 1, "drawn")


def _compare(rng: Random, calls: int, name: str) -> None:
    """Fails, with tariff and call, at the first difference."""
    material = random_tariff(rng)
    rater = Rater(parse_tariff(_text(material)))
    naive = NaiveRater(material.toml, material.deck)
    for _ in range(calls):
        cdr, provider, service = random_call(rng, material)
        expected = naive.rate(cdr, provider, service)
        charged, explained = _answers(rater, cdr, provider, service)
        faults = _faults(naive, cdr, expected, charged, explained)
        if faults:
            pytest.fail(
                f"{name}: {'; '.join(faults)}\n\n{material.toml}\n{material.deck}\n"
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
    for number in range(120):
        rng = Random(f"{SEED}/{number}")
        material = random_tariff(rng)
        naive = NaiveRater(material.toml, material.deck)
        for _ in range(CALLS_PER_TARIFF):
            cdr, provider, service = random_call(rng, material)
            answer = naive.rate(cdr, provider, service)
            if isinstance(answer, str):
                seen[answer] += 1
                continue
            seen.update(_kinds(naive, cdr, answer))
    missing = KINDS - seen.keys()
    assert not missing, seen


KINDS = {
    "no-rate", "unanswered", "capped", "raised", "a step or period later", "two periods", "over a clock change",
    "past the end", "a fraction of a second", "by units", "by the calling number", "an address", "by filters",
    "any beside periods", "on a day beside one that was skipped", "on a holiday or date", "half an hour's change",
}  # fmt: skip


def _kinds(naive: NaiveRater, cdr: CDR, answer: Answer) -> list[str]:
    """What is special about a call that was rated."""
    local = (EPOCH + timedelta(microseconds=cdr.answer_at)).astimezone(naive.zone)
    clocks = {_clock(naive, run) for run in answer.runs}
    periods = {run.period for run in answer.runs}
    number = cdr.calling if cdr.type == "toll-free" else cdr.called
    special = {period.name for period in naive.periods if period.dates or period.holidays}
    skipped = SKIPPED.get(naive.zone.key, date.min)
    rows = naive.rows_of(cdr, {"provider": None, "service": None, "type": cdr.type})
    return [
        kind
        for kind, holds in (
            ("unanswered", answer.billed_s == 0),
            ("capped", answer.capped),
            ("raised", answer.charge > answer.exact + 1),
            ("a step or period later", len({(run.rate, run.per_s) for run in answer.runs}) > 1),
            ("two periods", len(periods) > 1),
            ("over a clock change", len(clocks) > 1),
            ("half an hour's change", len(clocks) > 1 and naive.zone.key == "Australia/Lord_Howe"),
            ("past the end", answer.billed_s * MICROS > cdr.duration_us > 0),
            ("a fraction of a second", cdr.duration_us % MICROS > 0),
            ("by units", cdr.type in UNIT_TYPES and answer.billed_s > 0),
            ("by the calling number", cdr.type == "toll-free"),
            ("an address", not number.isdecimal()),
            ("by filters", any(row.filters for row in rows)),
            ("any beside periods", "any" in periods and len(naive.periods) > 0),
            ("on a holiday or date", bool(periods & special)),
            ("on a day beside one that was skipped", abs((local.date() - skipped).days) == 1),
        )
        if holds
    ]


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
        for error in message.splitlines():
            assert error.startswith(f"odd.{'toml' if refusal.file == 'toml' else 'csv'}: ")
