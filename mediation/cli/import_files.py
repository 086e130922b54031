"""`tollkeeper import`: provision what calls are guided and rated by, and bills paid by, with or without the daemon."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from control.billing.cycles import parse_period
from control.payments.rules import RulesError, parse_rules
from mediation.cli.import_help import ALL, OF_KIND, HelpOfKind
from mediation.cli.import_warnings import warnings_of
from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, read_text
from mediation.cli.tariff_preview import preview
from mediation.cli.users_change import actor
from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.imported import CSVFile, TariffFile, counted
from mediation.provisions import import_accounts_alone
from mediation.schema import all_migrations
from mediation.writer_enrolments import import_enrolments_alone
from mediation.writer_rules import RulesText, import_rules
from mediation.writer_socket import ask_daemon, decode_json
from rating.provisioning import ProvisioningError
from rating.store.sqlite import open_store
from rating.tariff import Tariff, TariffError, TariffText, parse_tariff, read_tariff_versions

_SHOWN = 50
_VERSIONED = {"tariff": "the tariff", "rules": "the rules"}

Imported = CSVFile | TariffFile | RulesText
"""What is handed over of a file."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "import",
        run,
        "provision accounts, lines, favourites, tariffs, rules and enrolments",
        ALL,
        own_help=True,
    )
    parser.add_argument("-h", "--help", action=HelpOfKind)
    parser.add_argument("kind", choices=tuple(OF_KIND), help="what the file holds")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--preview", action="store_true", help="of a tariff: say what it changes, and import nothing")
    parser.add_argument(
        "--traffic", type=_month, metavar="YYYY-MM", help="with --preview: what this month would have cost under it"
    )
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    _check_options(args)
    if args.kind == "tariff":
        versions, tariffs = _tariffs(args.file, args.json)
        if args.preview:
            preview(config, tariffs, args.traffic, args.json)
            return 0
        files: list[Imported] = [TariffFile(text, actor()) for text in versions]
    elif args.kind == "rules":
        files = [_rules(args.file)]
    else:
        files = [CSVFile(read_text(args.file), args.file.name, actor())]
    numbers: list[int] = []
    for file in files:
        errors, imported = _import(config, args.kind, file)
        numbers.append(imported)
        if errors:
            break
    warnings = [] if errors else warnings_of(config, args.kind, files[0])
    if args.json:
        more_told = ({"versions": numbers} if len(numbers) > 1 else {}) | ({"warnings": warnings} if warnings else {})
        print_json({"imported": numbers[0], "errors": errors, **more_told})
    if errors:
        for error in errors[:_SHOWN]:
            print(f"{args.file}: {error}", file=sys.stderr)
        more = f" ({len(errors) - _SHOWN} more)" if len(errors) > _SHOWN else ""
        raise Failure(f"nothing was imported: {len(errors)} error{'s' if len(errors) > 1 else ''}{more}")
    if not args.json:
        versioned = _VERSIONED.get(args.kind)
        for warning in warnings:
            print(f"warning: {warning}")
        for number in numbers:
            print(f"version {number} of {versioned}" if versioned else f"{counted(number, args.kind)} imported")
    return 0


def _tariffs(file: Path, as_json: bool) -> tuple[tuple[TariffText, ...], tuple[Tariff, ...]]:
    """The versions that a file holds, refused before anybody is bothered: one error in the line that goes with exit 2,
    and where there are several all of them on stdout. Raises TariffError."""
    try:
        versions = read_tariff_versions(file)
        return versions, tuple(parse_tariff(text) for text in versions)
    except TariffError as refused:
        first, *others = refused.errors
        if as_json:
            print_json({"imported": 0, "errors": list(refused.errors)})
        elif others:
            print(refused)
        raise (TariffError(f"{first} (the first of several errors, see stdout)") if others else refused) from None


def _check_options(args: argparse.Namespace) -> None:
    """Raise Failure for options that do not go together."""
    if args.preview and args.kind != "tariff":
        raise Failure(f"--preview is of a tariff: import {args.kind} without it", 2)
    if args.traffic is not None and not args.preview:
        raise Failure("--traffic is a part of the preview: give --preview too", 2)


def _month(text: str) -> str:
    try:
        return parse_period(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month: write it as 2026-10") from None


def _import(config: Config, kind: str, file: Imported) -> tuple[list[str], int]:
    """By the running daemon, or else alone: errors by row, and how many were imported, or the version's number."""
    answer = ask_daemon(config.store.path, "POST", f"/import/{kind}", msgspec.json.encode(file))
    if answer is None:
        return asyncio.run(_import_alone(config, kind, file))
    told = decode_json(answer[1])
    if answer[0] not in (200, 422):
        raise Failure(f"the daemon refused: {told.get('detail', told)}")
    return told.get("errors", []), told.get("imported", 0)


def _rules(file: Path) -> RulesText:
    """What is handed over of a file of rules. Raises Failure."""
    text = read_text(file)
    try:
        parse_rules(text, str(file))  # refused here, with exit 2, before anybody is bothered
    except RulesError as error:
        raise Failure(str(error), 2) from None
    return RulesText(text, str(file), actor())


async def _import_alone(config: Config, kind: str, file: Imported) -> tuple[list[str], int]:
    """The daemon does not run: take the store, and do what it would do. Errors by row, and how many were imported."""
    now = wall_clock()
    store = await open_store(config.store.path, all_migrations(), now)
    try:
        if isinstance(file, TariffFile):
            tariff = parse_tariff(file.text)
            return [], await store.import_tariff(file.text, tariff, now, file.noted(tariff, lambda: now))
        if isinstance(file, RulesText):
            return [], await import_rules(store, file, now)
        noted = file.noted(kind, lambda: now)
        if kind == "lines":
            return [], await store.import_lines(file.text, noted)
        if kind == "favourites":
            return [], await store.import_favourites(file.text, noted)
        if kind == "enrolments":
            return [], await import_enrolments_alone(store, file, now)
        return [], await import_accounts_alone(store, file.text, now, noted)
    except ProvisioningError as refused:
        return [str(error) for error in refused.errors], 0
    finally:
        await store.close()
