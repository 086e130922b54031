"""`tollkeeper backup`: a consistent copy of the store while the daemon runs."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from mediation.cli.options import add_command, add_config, add_json, configuration, print_json
from mediation.failure import Failure
from rating.store.backup import Progress, TargetRefused, back_up

BAR: Final = 40
"""Characters of the bar on a terminal."""
LINE_EVERY_S: Final = 10.0
"""In a log a long copy says how far it is now and then; a short one says nothing."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "backup", run, "copy the store while the daemon runs",
        "Copy the store to FILE, consistent as of one transaction and checked, also while the daemon runs: every record"
        " that was acknowledged before the command began is in it. FILE appears when it is whole and on the disk; until"
        " then FILE.part grows beside it. To restore: stop the daemon, put FILE in the store's place, remove the"
        " store's -wal and -shm files, start (systemd/README.md has every step).",
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE", help="where the copy goes")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(args)
    began = time.monotonic()
    try:
        copied = back_up(config.store.path, args.file, replace=args.force, progress=shown_on(sys.stderr))
    except TargetRefused as refused:
        raise Failure(str(refused), 2) from None
    seconds = round(time.monotonic() - began, 3)
    if args.json:
        print_json(
            {
                "transactions": copied.transactions,
                "bytes": copied.size_bytes,
                "last_transaction": copied.last_id,
                "seconds": seconds,
            }
        )
    else:
        print(
            f"{args.file}: {copied.transactions} transactions, the last is {copied.last_id};"
            f" {copied.size_bytes:,} bytes in {seconds} s, checked"
        )
    return 0


def shown_on(stream: TextIO, clock: Callable[[], float] = time.monotonic) -> Progress:
    """Shows how far a copy is: as a bar on a terminal, elsewhere as a line every ten seconds."""
    on_terminal = stream.isatty()
    told = clock()

    def show(done: int, all_: int) -> None:
        nonlocal told
        share = done / all_ if all_ else 1.0
        if on_terminal:
            filled = int(share * BAR)
            end = "\n" if done >= all_ else ""
            print(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {share:4.0%}", end=end, file=stream, flush=True)
        elif clock() - told >= LINE_EVERY_S:
            told = clock()
            print(f"copied {done:,} of {all_:,} bytes ({share:.0%})", file=stream, flush=True)

    return show
