"""The program, with kill -9 at a chosen SQL statement: so each step of a store transaction is met, which a kill from
outside hits by luck.

    python -m tests.acceptance.statement_kill AIM ARGUMENT…

runs the program on the arguments. AIM is a file that may be written and taken away at any time; when the statement that
it says begins, the process is gone, and what that was stands in AIM.hit. Bills are issued two at a time.
"""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import control.billing.bill_run
from mediation.cli import main

BILLS_AT_A_TIME: Final = 2
"""So that a small run has many store transactions."""
_SHOWN: Final = 90


class Aim(NamedTuple):
    """The statement that is never carried out."""

    words: str
    """In a statement, its values written out; from there on the statements of that connection are counted."""
    after: int = 0
    """So many statements after it: 0 is the statement itself."""
    nth: int = 1
    """Which one of the statements with the words."""

    def __str__(self) -> str:
        nth = f" ({self.nth})" if self.nth > 1 else ""
        return f"statement {self.after} from “{self.words}”{nth}"

    def put(self, file: Path) -> None:
        """From now on it is aimed at."""
        part = file.with_suffix(".part")
        part.write_text(json.dumps(self))
        part.replace(file)


def hit(file: Path) -> str | None:
    """How the statement began at which the process was killed, if it was."""
    try:
        return file.with_suffix(".hit").read_text()
    except FileNotFoundError:
        return None


def clear(file: Path) -> None:
    """Aim at nothing."""
    for one in (file, file.with_suffix(".hit")):
        one.unlink(missing_ok=True)


class Trigger:
    """Sees every statement before it is carried out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written: int | None = None
        self._aim: Aim | None = None
        self._met = self._passed = 0
        self._counted: object = None
        """The connection whose statements are counted."""

    def saw(self, connection: object, statement: str) -> None:
        """A connection is about to carry a statement out."""
        try:
            written = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if written != self._written:
            self._written, self._aim = written, Aim(*json.loads(self._file.read_text()))
            self._met, self._passed, self._counted = 0, 0, None
        assert self._aim is not None
        if self._counted is None:
            self._met += self._aim.words in statement
            if self._met < self._aim.nth:
                return
            self._counted = connection
        if connection is self._counted:
            if self._passed == self._aim.after:
                self._file.with_suffix(".hit").write_text(" ".join(statement.split())[:_SHOWN])
                os.kill(os.getpid(), signal.SIGKILL)
            self._passed += 1


def watched(connect: Callable[..., sqlite3.Connection], trigger: Trigger) -> Callable[..., sqlite3.Connection]:
    """`sqlite3.connect`, with connections that a trigger sees."""

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection, mark = connect(*arguments, **options), object()
        connection.set_trace_callback(lambda statement: trigger.saw(mark, statement))
        return connection

    return connected


if __name__ == "__main__":
    setattr(sqlite3, "connect", watched(sqlite3.connect, Trigger(Path(sys.argv[1]))))  # noqa: B010  # as mypy wants it
    setattr(control.billing.bill_run, "BILLS_AT_A_TIME", BILLS_AT_A_TIME)  # noqa: B010  # likewise
    sys.exit(main(sys.argv[2:]))
