"""`tollkeeper rate`: pure rating, CDRs in, charges out; no store, no accounts, no clock."""

import argparse
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from mediation.cli.options import add_command, add_json_anyway
from mediation.formats.ndjson import Unreadable, parse_line
from rating.cdr import CDR
from rating.explanation import Explanation, as_json
from rating.line_services import ALWAYS
from rating.rater import Rater
from rating.tariff import TariffError, parse_tariff, read_tariff_text

_READ_AT_ONCE: Final = 1 << 16


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "rate", run, "rate CDRs from stdin by a tariff",
        "Rate CDRs (NDJSON on stdin) by a tariff and print what each costs and why (NDJSON on stdout, same order)."
        ' What cannot be rated is printed as {"id", "suspended": REASON}. Each line is answered when it has come, also'
        ' while the input goes on. A "provider" in a record is taken for that'
        " of its line, so that rows for one provider can be tried. Allowances, favourite numbers and discounts, which"
        " depend on what an account used before, and conversions to its currency are left out.",
    )  # fmt: skip
    parser.add_argument("--tariff", required=True, type=Path, metavar="FILE.toml", help="the tariff, with its deck")
    add_json_anyway(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    rater = _rater(args.tariff)
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer
    for lines in _as_they_come(cast(io.BufferedIOBase, sys.stdin.buffer)):
        out.writelines(encode(_rated(rater, line)) + b"\n" for line in lines if line and not line.isspace())
        out.flush()  # who asks line by line waits for it
    return 0


def _rater(path: Path) -> Rater:
    """Raises TariffError, of one line: what gets charges by the line is told what is wrong in one."""
    try:
        return Rater(parse_tariff(read_tariff_text(path)))
    except TariffError as refused:
        first, *others = refused.errors
        if others:
            raise TariffError(f"{first} (the first of several errors: import tariff tells more)") from None
        raise


def _as_they_come(stream: io.BufferedIOBase) -> Iterator[list[bytes]]:
    """The lines of a stream without their ends: each time all that are there, one at least."""
    begun: list[bytes] = []
    while piece := stream.read1(_READ_AT_ONCE):
        whole, end, rest = piece.rpartition(b"\n")
        if end:
            yield [line.removesuffix(b"\r") for line in b"".join([*begun, whole]).split(b"\n")]
            begun = []
        begun.append(rest)
    yield [b"".join(begun).removesuffix(b"\r")]


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
