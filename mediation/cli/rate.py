"""`tollkeeper rate`: pure rating, CDRs in, charges out; no store, no accounts, no clock."""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from mediation.cli.options import add_command
from mediation.formats.ndjson import Unreadable, parse_line
from rating.cdr import CDR
from rating.directory import ALWAYS
from rating.explanation import Explanation, as_json
from rating.rater import Rater
from rating.tariff import parse_tariff, read_tariff_text


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "rate", run, "rate CDRs from stdin by a tariff",
        "Rate CDRs (NDJSON on stdin) by a tariff and print what each costs and why (NDJSON on stdout, same order)."
        ' What cannot be rated is printed as {"id", "suspended": REASON}. A "provider" in a record is taken for that'
        " of its line, so that rows for one provider can be tried.",
    )  # fmt: skip
    parser.add_argument("--tariff", required=True, type=Path, metavar="FILE.toml", help="the tariff, with its deck")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    rater = Rater(parse_tariff(read_tariff_text(args.tariff)))
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer
    for raw in sys.stdin.buffer:
        line = raw.rstrip(b"\r\n")
        if line and not line.isspace():
            out.write(encode(_rated(rater, line)) + b"\n")
    out.flush()
    return 0


def _rated(rater: Rater, line: bytes) -> dict[str, object]:
    record = parse_line(line, "")
    if isinstance(record, Unreadable):
        return {"id": record.id, "suspended": record.reason}
    explanation = _explain(rater, record)
    if isinstance(explanation, str):
        return {"id": record.id, "suspended": explanation}
    return as_json(record.id, explanation)


def _explain(rater: Rater, cdr: CDR) -> Explanation | str:
    valid_from_at = rater.tariff.valid_from_at
    if cdr.answer_at < (ALWAYS if valid_from_at is None else valid_from_at) and cdr.quantity_us:
        return "no-rate"
    provider = (cdr.extra or {}).get("provider")
    return rater.explain(cdr, provider if isinstance(provider, str) else None, cdr.service)
