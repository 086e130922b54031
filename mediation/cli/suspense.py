"""`tollkeeper suspense`: what could not be processed, and what becomes of it."""

import argparse
import sys
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from mediation.cli import suspense_shown
from mediation.cli.options import add_command, add_config, add_json, configuration, instant, print_json, reading
from mediation.cli.suspense_order import give
from mediation.cli.users_change import actor
from mediation.config import Config
from mediation.failure import Failure
from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.mending import Mend, Replacement
from mediation.pipeline.recycling import Selection
from mediation.writer_suspense import DiscardOrder, MendOrder, RecycleOrder
from rating.store.suspense import get_many

_DESCRIPTION = """Records that could not be processed stay in suspense, as they arrived, until they are recycled into
transactions, or discarded. What a source sends again stays a duplicate, whatever became of it.

  list       how many, by reason; with --reason, --source, --after or --limit the records themselves
  show       one record: as it arrived, what was understood, why it is here, what was done to it
  mend       set fields of records, or the whole line of one; recycle them then
  recycle    process records again, by what is provisioned now
  discard    leave records out for good, with a remark that says why"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "suspense", run, "the suspended records: list, mend, recycle, discard", _DESCRIPTION)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = _action(actions, "list", _list, "count the open records by reason, or list them")
    listing.add_argument("--reason", metavar="R", help="only records suspended for R")
    listing.add_argument("--source", metavar="S", help="only records of source S")
    listing.add_argument("--after", type=int, metavar="ID", help="only records with a greater number: the next page")
    listing.add_argument("--limit", type=_count, metavar="N", help="at most N records (default 100)")

    showing = _action(actions, "show", _show, "show a record")
    one = showing.add_mutually_exclusive_group(required=True)
    one.add_argument("id", nargs="?", type=_count, metavar="ID", help="its number in suspense")
    one.add_argument("--transaction", type=_count, metavar="N", help="whence transaction N came")

    mending = _selecting(_action(actions, "mend", _mend, "set fields of records, or the line of one"))
    mending.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="set a field (may repeat)")
    mending.add_argument(
        "--replace", action="append", default=[], nargs=3, metavar=("FIELD", "OLD", "NEW"),
        help="set a field to NEW where it is OLD (may repeat)",
    )  # fmt: skip
    mending.add_argument("--line", metavar="FILE", help="read the whole record from FILE instead (- is stdin)")
    mending.add_argument("--ndjson", action="store_true", help="--line is NDJSON, whatever format the record came in")
    mending.add_argument("--recycle", action="store_true", help="and recycle them then")

    _selecting(_action(actions, "recycle", _recycle, "process records again"))
    discarding = _selecting(_action(actions, "discard", _discard, "leave records out for good"))
    discarding.add_argument("--remark", required=True, metavar="TEXT", help="why")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return int(args.act(args))


def _action(actions: Any, name: str, act: Any, help_text: str) -> argparse.ArgumentParser:
    parser = add_command(actions, name, run, help_text, help_text[0].upper() + help_text[1:] + ".")
    parser.set_defaults(act=act)
    add_config(parser)
    add_json(parser)
    return parser


def _selecting(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("ids", nargs="*", type=_count, metavar="ID", help="the records' numbers in suspense; or:")
    parser.add_argument("--all", action="store_true", help="every open record")
    parser.add_argument("--reason", metavar="R", help="those suspended for R")
    parser.add_argument("--source", metavar="S", help="those of source S")
    parser.add_argument("--account-line", dest="number", metavar="LINE", help="those that name this line")
    parser.add_argument("--from", dest="from_at", type=instant, metavar="T", help="those that arrived at T or later")
    parser.add_argument("--to", dest="to_at", type=instant, metavar="T", help="those that arrived before T")
    return parser


def _selection(args: argparse.Namespace, config: Config) -> Selection:
    chosen = Selection(tuple(args.ids), args.reason, args.source, args.number, args.from_at, args.to_at)
    everything = chosen == Selection()
    if chosen.ids and (args.all or chosen != Selection(chosen.ids)):
        raise Failure("give the records' numbers, or conditions that choose them, not both", 2)
    if args.all and not everything:
        raise Failure("--all is every open record: leave the conditions away, or --all", 2)
    if everything and not args.all:
        raise Failure("which records? give their numbers, --reason, --source …, or --all", 2)
    with reading(config) as cx:
        found = {record.id: record for record in get_many(cx, chosen.ids)}
    if missing := sorted(set(chosen.ids) - found.keys()):
        raise Failure(f"there is no record {missing[0]} in suspense: suspense list --reason R shows their numbers")
    for record in found.values():
        if record.state != "open":
            print(f"record {record.id} is {record.state} already, and stays as it is", file=sys.stderr)
    return chosen


def _list(args: argparse.Namespace) -> int:
    with reading(configuration(args)) as cx:
        if args.reason is args.source is args.after is args.limit is None:
            suspense_shown.print_reasons(cx, args.json)
        else:
            suspense_shown.print_records(cx, args.reason, args.source, args.after or 0, args.limit or 100, args.json)
    return 0


def _show(args: argparse.Namespace) -> int:
    config = configuration(args)
    formats = SourceFormats(config.plans)
    with reading(config) as cx:
        if args.transaction is None:
            suspense_shown.print_record(cx, formats, args.id, args.json)
        else:
            suspense_shown.print_origin(cx, formats, args.transaction, args.json)
    return 0


def _mend(args: argparse.Namespace) -> int:
    config = configuration(args)
    selection = _selection(args, config)
    if args.line is not None and (args.set or args.replace):
        raise Failure("--line replaces the whole record: leave --set and --replace away", 2)
    fields = dict(_field(text) for text in args.set)
    line = None if args.line is None else _line(args.line)
    mend = Mend(fields, tuple(Replacement(*words) for words in args.replace), line, args.ndjson)
    answer = give(config, MendOrder(selection, mend, actor(), args.recycle))
    assert answer.mended is not None
    if args.json:
        told = {"mended": to_builtins(answer.mended)}
        print_json(told if answer.recycled is None else told | {"recycled": to_builtins(answer.recycled)})
    else:
        print(f"{answer.mended.mended} mended, {answer.mended.unchanged} unchanged, {answer.mended.refused} refused")
        for refusal in answer.mended.refusals:
            print(f"record {refusal.id}: {refusal.words}", file=sys.stderr)
        if answer.recycled is not None:
            suspense_shown.print_recycled(answer.recycled)
    return 1 if answer.mended.refused else 0


def _recycle(args: argparse.Namespace) -> int:
    config = configuration(args)
    selection = _selection(args, config)
    answer = give(config, RecycleOrder(selection, actor()))
    assert answer.recycled is not None
    if args.json:
        print_json(to_builtins(answer.recycled))
    else:
        suspense_shown.print_recycled(answer.recycled)
    return 0


def _discard(args: argparse.Namespace) -> int:
    config = configuration(args)
    answer = give(config, DiscardOrder(_selection(args, config), actor(), args.remark))
    if args.json:
        print_json({"discarded": answer.discarded})
    else:
        print(f"{answer.discarded} discarded")
    return 0


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Failure(f"--set {text} is not FIELD=VALUE, such as called=+442079460018", 2)
    return name, value


def _line(name: str) -> bytes:
    """The one line of a file, or of stdin."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise Failure(f"{name} cannot be read ({error.strerror}): give the path of a file, or -", 2) from None
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n") if line.strip()]
    if len(lines) != 1:
        raise Failure(f"{name} holds {len(lines)} lines: a record is one", 2)
    return lines[0]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 17")
    return int(text)
