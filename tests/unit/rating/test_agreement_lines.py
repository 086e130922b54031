"""`tollkeeper rate` and the naive raters agree about lines of NDJSON in every spelling, and about what is no CDR."""

import argparse
import io
import json
import os
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mediation.cli import rate
from rating.tariff import TariffError
from tests.naive_lines import NaiveCall, Suspended, read_line
from tests.naive_rater import Answer, NaiveRater
from tests.random_lines import random_line
from tests.random_tariffs import Material, random_call, random_tariff

LINES = int(os.environ.get("TOLLKEEPER_AGREEMENT_CALLS", "20000")) // 10
SEED = os.environ.get("TOLLKEEPER_AGREEMENT_SEED", "2026")
LINES_PER_TARIFF = 50


class _Pipe(io.BytesIO):
    """Standard input and output as the command uses them."""

    @property
    def buffer(self) -> io.BytesIO:
        return self


def printed(tariff: Path, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command answers, line by line."""
    out = _Pipe()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", _Pipe(sent))
        patch.setattr(sys, "stdout", out)
        assert rate.run(argparse.Namespace(tariff=tariff)) == 0
    return [json.loads(line, parse_float=str) for line in out.getvalue().splitlines()]


def expected(naive: NaiveRater, line: bytes) -> dict[str, Any]:
    """What it should answer, as far as one word or number says it."""
    call = read_line(line)
    if isinstance(call, Suspended):
        return {"id": call.id, "suspended": call.reason}
    answer = naive.rate(call, call.provider, call.service)
    if isinstance(answer, str):
        return {"id": call.id, "suspended": answer}
    if answer.charge * 10**6 >= 2**63:
        return {"id": call.id, "suspended": "out-of-range"}
    return _rated(call, answer, naive.decimals)


def _rated(call: NaiveCall, answer: Answer, decimals: int) -> dict[str, Any]:
    quanta = str(int(answer.charge * 10**decimals)).rjust(decimals + 1, "0")
    return {
        "id": call.id,
        "charge": f"{quanta[:-decimals]}.{quanta[-decimals:]}" if decimals else quanta,
        "currency": "USD",
        "destination": answer.destination,
        "place_called": answer.place_called,
        "billed_s": answer.billed_s,
        "connect_fee": answer.connect_fee,
        "capped": answer.capped,
        "explain": [(run.seconds, run.rate, run.per_s, run.amount) for run in answer.runs],
    }


def _exactly(answer: dict[str, Any]) -> dict[str, Any]:
    """A printed answer with its decimals as numbers, where they may be written in several ways."""
    if "suspended" in answer:
        return answer
    runs = [(run["seconds"], Fraction(run["rate"]), run["per_s"], Fraction(run["amount"])) for run in answer["explain"]]
    return answer | {"connect_fee": Fraction(answer["connect_fee"]), "explain": runs}


def _lines(rng: Random, material: Material) -> list[bytes]:
    return [random_line(rng, *random_call(rng, material)) for _ in range(LINES_PER_TARIFF)]


def _sent(rng: Random, lines: list[bytes]) -> bytes:
    """The lines with blank ones between, and with either end."""
    parts = []
    for line in lines:
        parts += [rng.choice((b"", b"", b"", b" \t"))] * (rng.random() < 0.1) + [line]
    return b"".join(part + rng.choice((b"\n", b"\r\n")) for part in parts[:-1]) + parts[-1]


def test_the_command_agrees_with_the_naive_raters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(-(-LINES // LINES_PER_TARIFF)):
        rng = Random(f"{SEED}/lines/{number}")
        material = random_tariff(rng)
        (tmp_path / "odd.toml").write_text(material.toml)
        (tmp_path / "odd.csv").write_text(material.deck, newline="")
        naive = NaiveRater(material.toml, material.deck)
        lines = _lines(rng, material)
        answers = printed(tmp_path / "odd.toml", _sent(rng, lines), monkeypatch)
        assert len(answers) == len(lines), f"seed {SEED}, tariff {number}"
        for line, answer in zip(lines, answers, strict=True):
            wanted = expected(naive, line)
            if _exactly(answer) != wanted:
                pytest.fail(
                    f"seed {SEED}, tariff {number}\n{material.toml}\n{material.deck}\n{line!r}\n"
                    f"printed: {answer}\nnaive:   {wanted}",
                    pytrace=False,
                )


def test_a_tariff_with_several_errors_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text('name = "odd"\ncurrency = "USD"\ndeck = "odd.csv"\n')
    header = "prefix,destination,period,after_s,connect_fee,rate,per_s,increments"
    (tmp_path / "odd.csv").write_text(f"{header}\n44,UK,,0,0,-1,0,1/1\n45,UK,noon,0,0,1,60,1/1\n")
    with pytest.raises(TariffError, match=r"odd\.csv: line 2, rate: '-1' .*several errors") as refused:
        rate.run(argparse.Namespace(tariff=tmp_path / "odd.toml"))
    assert len(str(refused.value).splitlines()) == 1


def test_the_random_lines_are_of_every_kind() -> None:
    seen: Counter[str] = Counter()
    for number in range(40):
        rng = Random(f"{SEED}/lines/{number}")
        material = random_tariff(rng)
        naive = NaiveRater(material.toml, material.deck)
        for line in _lines(rng, material):
            answer = expected(naive, line)
            seen[answer.get("suspended", "rated")] += 1
            seen["an id that can be read, and is suspended"] += "suspended" in answer and answer["id"] is not None
    wanted = ("rated", "malformed", "bad-number", "bad-time", "no-rate", "an id that can be read, and is suspended")
    assert min(seen[kind] for kind in wanted) > 5, seen
