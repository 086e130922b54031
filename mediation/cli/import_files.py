"""`tollkeeper import`: provision accounts, lines, tariffs, rules and enrolments, whether the daemon runs or not."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from control.payments.rules import RulesError, parse_rules
from mediation.cli.options import add_command, add_config, add_json, configuration, print_json, read_text
from mediation.cli.users_change import actor
from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.provisions import import_accounts_alone
from mediation.schema import all_migrations
from mediation.writer_enrolments import EnrolmentsFile, import_enrolments_alone
from mediation.writer_rules import RulesText, import_rules
from mediation.writer_socket import ask_daemon, decode_json
from rating.provisioning import ProvisioningError
from rating.store.sqlite import open_store
from rating.tariff import TariffText, parse_tariff, read_tariff_text

_SHOWN = 50
_KINDS = ("accounts", "lines", "tariff", "rules", "enrolments")
_VERSIONED = {"tariff": "the tariff", "rules": "the rules"}

_DESCRIPTION = """Import a file, all or nothing. While the daemon runs it does the work and follows at once.

  accounts FILE.csv   account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day
                      optional: fax,pager,phone,language,segment
  lines FILE.csv      line,account,provider,service,switch      optional: tariff,from
  tariff FILE.toml    with the rate deck that it names, as a new version of the tariff
  rules FILE.toml     early-payment discount, days to pay within, what is not collected; as a new version
  enrolments FILE.csv account,enrolled (true or false): whose invoices are online; agents are mailed what changes"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "import", run, "provision accounts, lines, tariffs, rules and enrolments", _DESCRIPTION
    )
    parser.add_argument("kind", choices=_KINDS, help="what the file holds")
    parser.add_argument("file", type=Path, metavar="FILE")
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    if args.kind == "tariff":
        text = read_tariff_text(args.file)
        parse_tariff(text)  # refused here, with exit 2, before anybody is bothered
        body = msgspec.json.encode(text)
    elif args.kind == "enrolments":
        body = msgspec.json.encode(EnrolmentsFile(read_text(args.file), actor()))
    elif args.kind == "rules":
        body = _rules(args.file)
    else:
        body = read_text(args.file).encode()
    answer = ask_daemon(config.store.path, "POST", f"/import/{args.kind}", body)
    if answer is None:
        errors, imported = asyncio.run(_import_alone(config, args.kind, body))
    else:
        told = decode_json(answer[1])
        if answer[0] not in (200, 422):
            raise Failure(f"the daemon refused: {told.get('detail', told)}")
        errors, imported = told.get("errors", []), told.get("imported", 0)
    if args.json:
        print_json({"imported": imported, "errors": errors})
    if errors:
        for error in errors[:_SHOWN]:
            print(f"{args.file}: {error}", file=sys.stderr)
        more = f" ({len(errors) - _SHOWN} more)" if len(errors) > _SHOWN else ""
        raise Failure(f"nothing was imported: {len(errors)} error{'s' if len(errors) > 1 else ''}{more}")
    if not args.json:
        versioned = _VERSIONED.get(args.kind)
        print(f"version {imported} of {versioned}" if versioned else f"{imported} {args.kind} imported")
    return 0


def _rules(file: Path) -> bytes:
    """What is handed over of a file of rules. Raises Failure."""
    text = read_text(file)
    try:
        parse_rules(text, str(file))  # refused here, with exit 2, before anybody is bothered
    except RulesError as error:
        raise Failure(str(error), 2) from None
    return msgspec.json.encode(RulesText(text, str(file), actor()))


async def _import_alone(config: Config, kind: str, body: bytes) -> tuple[list[str], int]:
    """The daemon does not run: take the store, and do what it would do. Errors by row, and how many were imported."""
    now = wall_clock()
    store = await open_store(config.store.path, all_migrations(), now)
    try:
        if kind == "tariff":
            text = msgspec.json.decode(body, type=TariffText)
            return [], await store.import_tariff(text, parse_tariff(text), now)
        if kind == "rules":
            return [], await import_rules(store, msgspec.json.decode(body, type=RulesText), now)
        if kind == "lines":
            return [], await store.import_lines(body.decode())
        if kind == "enrolments":
            return [], await import_enrolments_alone(store, body, now)
        return [], await import_accounts_alone(store, body.decode(), now)
    except ProvisioningError as refused:
        return [str(error) for error in refused.errors], 0
    finally:
        await store.close()
