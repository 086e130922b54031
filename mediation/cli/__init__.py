"""The command line: one module a command, their exit codes and error lines made the same here."""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Final, NoReturn

from mediation.config import ConfigError
from mediation.failure import Failure
from rating.store.errors import StoreError
from rating.tariff import TariffError

_COMMANDS: Final = {
    "demo": "mediation.cli.demo",
    "serve": "mediation.cli.serve",
    "check-config": "mediation.cli.check_config",
    "migrate": "mediation.cli.migrate",
    "import": "mediation.cli.import_files",
    "rate": "mediation.cli.rate",
    "explain": "mediation.cli.explain",
    "export": "mediation.cli.export",
    "recount": "mediation.cli.recount",
    "account-for": "mediation.cli.account_for",
    "suspense": "mediation.cli.suspense",
    "rerate": "mediation.cli.rerate",
    "bill-run": "mediation.cli.bill_run",
    "retire": "mediation.cli.retire",
    "backup": "mediation.cli.backup",
    "user": "mediation.cli.user",
    "token": "mediation.cli.token",
    "bench": "mediation.cli.bench",
    "simulate": "mediation.cli.simulate",
}
"""The module of each. One command is not to wait until those of all others are loaded."""

_EPILOG = """exit codes: 0 done, 1 failed while working, 2 wrong usage or configuration
(one line on stderr says what, where and what to do)"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser(commands: Iterable[str] = tuple(_COMMANDS)) -> argparse.ArgumentParser:
    """The parser of these commands; a command's module adds its own part."""
    parser = _Parser(
        prog="tollkeeper",
        description="Telecom network mediation: takes call records from POPs and switches, rates each as it comes, and"
        " keeps every account's transactions up to the second.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in commands:
        import_module(_COMMANDS[command]).add_parser(parts)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    words = sys.argv[1:] if argv is None else argv
    known = words[:1] if words and words[0] in _COMMANDS else _COMMANDS  # all of them for its help, and for a mistake
    args = build_parser(known).parse_args(words)
    try:
        return int(args.run(args))
    except Failure as failure:
        print(f"tollkeeper {args.command}: {failure}", file=sys.stderr)
        return failure.exit_code
    except (ConfigError, TariffError) as error:
        print(f"tollkeeper {args.command}: {error}", file=sys.stderr)
        return 2
    except StoreError as error:
        print(f"tollkeeper {args.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our answer has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor will anybody read what is still in it
        return 0
    except KeyboardInterrupt:
        return 130
