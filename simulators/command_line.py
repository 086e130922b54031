"""What the commands of all simulators share: reading options and the files that they name, one line for what is wrong,
the exit status."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, Never

from yarl import URL

from simulators.faults import SYNTAX, Faults, parse_faults
from simulators.population import Line, lines_of, make_population, read_lines


class UsageError(Exception):
    """The command was called wrongly; the message is one line that says what would do."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser(program: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser that raises UsageError."""
    return _Parser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run_command(
    program: str, prepare: Callable[[], Callable[[], Coroutine[Any, Any, int]]], *failures: type[Exception]
) -> int:
    """Run what `prepare` makes of the command line; the exit status.

    It is 2 when `prepare` raises UsageError, and 1 when the work fails with an OSError or one of the failures: each is
    told in one line.
    """
    try:
        work = prepare()
    except UsageError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    expected: tuple[type[Exception], ...] = (OSError, *failures)
    try:
        return asyncio.run(work())
    except expected as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1


def add_calls(to: argparse.ArgumentParser, what: str, seed: str = "same seed: same calls") -> argparse._ArgumentGroup:
    """The options that say whose calls there are, and how many; the group, for more."""
    calls = to.add_argument_group("the calls")
    calls.add_argument("--seed", type=int, default=1, metavar="N", help=f"{seed} (default 1)")
    calls.add_argument("--lines", type=Path, metavar="FILE.csv", help="a lines.csv: the lines that call")
    calls.add_argument("--population", type=whole_from_1, default=200, metavar="N", help="else: made up (default 200)")
    calls.add_argument(
        "--count", type=whole_from_0, default=0, metavar="N", help=f"{what} in all (default 0: until stopped)"
    )
    return calls


def add_token(to: argparse._ArgumentGroup) -> None:
    """The options that give the daemon's token."""
    to.add_argument("--token", metavar="T", help="the source's bearer token; others can read it in `ps`")
    to.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the token")


def add_faults(to: argparse._ArgumentGroup, what: str) -> None:
    """`--faults`."""
    to.add_argument(
        "--faults", type=_faults, default=Faults(), metavar=SYNTAX, help=f"probabilities {what}, and seconds"
    )


def add_listen(to: argparse.ArgumentParser | argparse._ArgumentGroup, what: str) -> None:
    """`--listen`."""
    to.add_argument(
        "--listen", type=address, default=("127.0.0.1", 0), metavar="HOST:PORT", help=f"{what} (default: any port)"
    )


def lines_that_call(given: argparse.Namespace) -> tuple[Line, ...]:
    """The lines that `--lines` or `--population` asks for. Raises UsageError."""
    try:
        if given.lines is None:
            return lines_of(make_population(given.population, given.seed))
        return read_lines(given.lines.read_text(encoding="utf-8"), given.seed)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{given.lines or '--population'} cannot be used: {error}; give the contract's lines.csv"
        ) from error


def secret_of(text: str | None, file: Path | None, what: str) -> str:
    """A secret that is given as text or in a file, exactly one of which there is. Raises UsageError."""
    if text is not None:
        return text
    assert file
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be used: {error}; give a file that holds the {what}") from error


def url(text: str) -> str:
    """An HTTP address."""
    try:
        read = URL(text)
    except ValueError:
        read = URL()
    if read.scheme not in ("http", "https") or not read.host:
        raise argparse.ArgumentTypeError(f"`{text}` is not an address such as http://127.0.0.1:8081")
    return text


def address(text: str) -> tuple[str, int]:
    """Where to listen, or to send to."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"`{text}` is not HOST:PORT such as 127.0.0.1:1813")
    return host.strip("[]"), int(port)


def instant(text: str) -> datetime:
    """An instant with its offset."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise argparse.ArgumentTypeError(f"`{text}` is not an instant with an offset such as 2026-11-20T09:00:00-05:00")
    return read


def whole_from_0(text: str) -> int:
    """A number of things, perhaps none."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 0")
    return int(text)


def whole_from_1(text: str) -> int:
    """A number of things."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 1")
    return int(text)


def number_from_0(text: str) -> float:
    """A number, perhaps 0, and not endless."""
    if not 0 <= (value := _number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` is not a number from 0")
    return value


def number_above_0(text: str) -> float:
    """A number that is not endless."""
    if not 0 < (value := _number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"`{text}` is not a number above 0")
    return value


def share(text: str) -> float:
    """A probability."""
    if not 0 <= (value := _number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a probability from 0 to 1")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def _faults(text: str) -> Faults:
    try:
        return parse_faults(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
