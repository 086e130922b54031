"""The command line: one module a command, their exit codes and error lines made the same here."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mediation.cli import (
    account_for,
    backup,
    bench,
    bill_run,
    check_config,
    demo,
    explain,
    export,
    import_files,
    migrate,
    rate,
    recount,
    rerate,
    retire,
    serve,
    simulate,
    suspense,
    token,
    user,
)
from mediation.config import ConfigError
from mediation.failure import Failure
from rating.store.errors import StoreError
from rating.tariff import TariffError

_COMMANDS = (
    demo, serve, check_config, migrate, import_files, rate, explain, export, recount, account_for, suspense, rerate,
    bill_run, retire, backup, user, token, bench, simulate,
)  # fmt: skip

_EPILOG = """exit codes: 0 done, 1 failed while working, 2 wrong usage or configuration
(one line on stderr says what, where and what to do)"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; a command's module adds its own part."""
    parser = _Parser(
        prog="tollkeeper",
        description="Telecom network mediation: takes call records from POPs and switches, rates each as it comes, and"
        " keeps every account's transactions up to the second.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    args = build_parser().parse_args(argv)
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
