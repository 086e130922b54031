"""Structured logs on stderr: JSON lines for programs, plain lines for people, prefixed lines for the journal.

Code logs a sentence that never changes, and gives what varies as fields: `log.info("stored", extra={"records": 500})`.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TextIO

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has (`taskName` from Python 3.12 on); the others came with `extra`."""

_SYSLOG: Final[Mapping[int, int]] = MappingProxyType(
    {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
)
"""syslog(3) priorities of the levels; sd-daemon(3) reads them as `<N>` at the start of a line."""

LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class Form(StrEnum):
    """How a record is written."""

    AUTO = "auto"
    """JOURNAL where stderr is the journal, HUMAN on a terminal, JSON otherwise."""
    JSON = "json"
    HUMAN = "human"
    JOURNAL = "journal"


def setup_logging(level: str = "info", stream: TextIO | None = None, form: str = Form.AUTO) -> None:
    """Sends the log records and warnings of this process to `stream` (stderr), in `form`.

    `level` is the least that is sent: one of `LEVELS`, in any case. Called again it replaces what it did before.
    Raises `ValueError` for an unknown level or form.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"unknown log level {level!r}; it is one of {', '.join(LEVELS)}")
    stream = stream or sys.stderr
    chosen = Form(form)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(choose(stream, os.environ) if chosen is Form.AUTO else chosen))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)


def choose(stream: TextIO, environment: Mapping[str, str]) -> Form:
    """The form that suits what is at the other end of `stream`."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # a stream without a file: a test's, or a closed one
        return Form.JSON
    # JOURNAL_STREAM is inherited by children whose stderr went elsewhere, so systemd.exec(5) has the numbers compared.
    if environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
        return Form.JOURNAL
    return Form.HUMAN if stream.isatty() else Form.JSON


def formatter(form: Form) -> logging.Formatter:
    """The formatter of a form; AUTO has none, since it needs a stream to look at."""
    makers: dict[Form, Callable[[], logging.Formatter]] = {
        Form.JSON: JsonFormatter,
        Form.HUMAN: HumanFormatter,
        Form.JOURNAL: JournalFormatter,
    }
    return makers[form]()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts (RFC 3339 UTC, ms), level, logger, message, the record's fields, exc."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in fields_of(record).items():
            # A field never hides one of ours: it is written with an underscore after its name.
            line[f"{name}_" if name in line or name == "exc" else name] = value
        if trace := _trace(self, record):
            line["exc"] = trace
        return json.dumps(line, ensure_ascii=False, default=str)


class HumanFormatter(logging.Formatter):
    """Time, level, logger and sentence, the fields as key=value, a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{instant(record)} {record.levelname:<8} {record.name}: {sentence(record)}"
        trace = _trace(self, record)
        return f"{text}\n{trace}" if trace else text


class JournalFormatter(logging.Formatter):
    """As for people, without the time, which the journal has; every line begins with its priority."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{record.name}: {sentence(record)}"
        trace = _trace(self, record)
        # The journal makes an entry of every line, and reads a line without a prefix as one of the default priority.
        lines = [text, *(trace.splitlines() if trace else ())]
        return "\n".join(f"<{priority(record.levelno)}>{line}" for line in lines)


def instant(record: logging.LogRecord) -> str:
    """When the record was made: RFC 3339, UTC, milliseconds."""
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sentence(record: logging.LogRecord) -> str:
    """The message and its fields on one line, whatever bytes a sender put into them."""
    parts = [record.getMessage(), *(f"{name}={_shown(value)}" for name, value in fields_of(record).items())]
    return _one_line(" ".join(parts))


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`, in its order."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def priority(level: int) -> int:
    """The syslog priority of a level: that of the nearest named one at or below it."""
    return next((number for named, number in _SYSLOG.items() if level >= named), _SYSLOG[logging.DEBUG])


def _shown(value: object) -> str:
    """A value as it stands after `=`: quoted where it has blanks or nothing in it."""
    text = str(value)
    return text if text and not any(character in ' "=' for character in text) else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Control characters and line ends are escaped: a forged line in a record must not look like one of ours."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _trace(formatting: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback and the stack that the record carries; empty if neither."""
    parts = [formatting.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(formatting.formatStack(record.stack_info))
    return "\n".join(parts)
