"""Options that several commands share, and reading their values."""

import argparse
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from mediation.config import Config, read_config
from mediation.failure import Failure
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.connection import explained
from rating.store.read_only import connect_reader
from rating.store.sqlite import check_schema

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help_text: str,
    description: str,
    *,
    own_help: bool = False,
) -> argparse.ArgumentParser:
    """Add a command to the parser; with `own_help` the caller adds `--help`."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=description, formatter_class=formatter, add_help=not own_help
    )
    parser.set_defaults(run=run)
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config F`."""
    parser.add_argument("--config", required=True, type=Path, metavar="F", help="the daemon's TOML configuration")


def add_daemon_only(parser: argparse.ArgumentParser) -> None:
    """`--daemon-only`, with which the daemon itself gives a command."""
    parser.add_argument(
        "--daemon-only",
        action="store_true",
        help="fail if the daemon does not run, where the command would write itself",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="answer with one JSON object, the last line of stdout")


def add_json_anyway(parser: argparse.ArgumentParser) -> None:
    """`--json`, for a command that answers with NDJSON without it too."""
    parser.add_argument("--json", action="store_true", help="changes nothing: the answer is NDJSON anyway")


def print_json(answer: object) -> None:
    """One line of JSON."""
    print(msgspec.json.Encoder(decimal_format="number").encode(answer).decode())


def configuration(args: argparse.Namespace) -> Config:
    """The configuration of `--config`. Raises ConfigError."""
    return read_config(args.config)


@contextmanager
def reading(config: Config) -> Iterator[sqlite3.Connection]:
    """The store, to be read only; the daemon may run. Raises StoreError."""
    with explained(config.store.path), closing(connect_reader(config.store.path)) as cx:
        check_schema(cx, all_migrations())
        yield cx


def instant(text: str) -> int:
    """µs UTC of a date (its first instant in UTC) or an RFC 3339 instant; raises argparse's error."""
    try:
        if _DATE.fullmatch(text):
            moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        else:
            moment = msgspec.convert(text, datetime)
        if moment.tzinfo is None:
            raise ValueError
    except (ValueError, msgspec.ValidationError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a date such as 2026-11-20 nor an instant such as 2026-11-20T09:00:00-05:00"
        ) from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * MICROS + since.microseconds


def day(text: str) -> date:
    """A date as YYYY-MM-DD, and in no other form of ISO 8601; raises argparse's error."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date: write YYYY-MM-DD") from None


def read_text(path: Path) -> str:
    """A file's text. Raises Failure with words."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror}): give the path of a file", 2) from None
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
