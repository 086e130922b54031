"""Log lines: what a program, a person and the journal each get for the same record."""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mediation.logs import Form, choose, formatter, priority, setup_logging

NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


def a_record(message: str = "batch stored", level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": "mediation.pipeline", "levelno": level, "msg": message, **fields})
    record.levelname = logging.getLevelName(level)
    record.created = NOON.timestamp()
    return record


def a_failure() -> Any:
    try:
        raise OSError("disk full")
    except OSError:
        return sys.exc_info()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was afterwards."""
    logger = logging.getLogger()
    level, handlers = logger.level, logger.handlers[:]
    yield logger
    logging.captureWarnings(False)
    logger.setLevel(level)
    logger.handlers[:] = handlers


class TestJson:
    def test_a_line_is_an_object_with_time_level_logger_message_and_fields(self) -> None:
        line = formatter(Form.JSON).format(a_record(records=500, source="pop-nyc"))
        assert json.loads(line) == {
            "ts": "2026-11-20T12:00:00.250Z",
            "level": "info",
            "logger": "mediation.pipeline",
            "message": "batch stored",
            "records": 500,
            "source": "pop-nyc",
        }

    def test_an_exception_stays_on_the_line(self) -> None:
        line = formatter(Form.JSON).format(a_record("commit failed", logging.ERROR, exc_info=a_failure()))
        assert "\n" not in line
        assert json.loads(line)["exc"].endswith("OSError: disk full")

    def test_a_field_hides_none_of_ours_and_may_be_of_any_kind(self) -> None:
        line = json.loads(formatter(Form.JSON).format(a_record(logger="x", exc="y", path=Path("/a"))))
        assert (line["logger"], line["logger_"], line["exc_"], line["path"]) == ("mediation.pipeline", "x", "y", "/a")

    def test_arguments_are_filled_in(self) -> None:
        assert json.loads(formatter(Form.JSON).format(a_record("%d stored", args=(5,))))["message"] == "5 stored"


class TestHuman:
    def test_a_line_reads_like_a_sentence(self) -> None:
        line = formatter(Form.HUMAN).format(a_record(records=500, peer="a b", note=""))
        assert line == (
            '2026-11-20T12:00:00.250Z INFO     mediation.pipeline: batch stored records=500 peer="a b" note=""'
        )

    def test_a_forged_line_end_is_escaped(self) -> None:
        line = formatter(Form.HUMAN).format(a_record("bad id", id="x\n2026 INFO forged\x1b[2J\u2028"))
        assert "\n" not in line
        assert r"x\n2026 INFO forged\u001b[2J\u2028" in line

    def test_a_traceback_follows(self) -> None:
        line = formatter(Form.HUMAN).format(a_record("commit failed", logging.ERROR, exc_info=a_failure()))
        assert line.splitlines()[1] == "Traceback (most recent call last):"


class TestJournal:
    def test_a_line_has_its_priority_and_no_time(self) -> None:
        line = formatter(Form.JOURNAL).format(a_record("gap", logging.WARNING, first=3))
        assert line == "<4>mediation.pipeline: gap first=3"

    def test_every_line_of_a_traceback_has_it_too(self) -> None:
        text = formatter(Form.JOURNAL).format(a_record("commit failed", logging.ERROR, exc_info=a_failure()))
        assert len(text.splitlines()) > 3
        assert all(line.startswith("<3>") for line in text.splitlines())

    @pytest.mark.parametrize(("level", "number"), [(50, 2), (40, 3), (30, 4), (25, 6), (20, 6), (10, 7), (5, 7)])
    def test_priorities_follow_the_levels(self, level: int, number: int) -> None:
        assert priority(level) == number


class TestChoice:
    def test_a_stream_without_a_file_gets_json(self) -> None:
        assert choose(io.StringIO(), {"JOURNAL_STREAM": "1:2"}) is Form.JSON

    def test_the_journal_is_known_by_device_and_inode(self, tmp_path: Path) -> None:
        with (tmp_path / "stderr").open("w") as stream:
            status = os.fstat(stream.fileno())
            assert choose(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}) is Form.JOURNAL
            assert choose(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}) is Form.JSON

    def test_a_terminal_is_for_people(self) -> None:
        controller, terminal = os.openpty()
        with os.fdopen(terminal, "w") as stream:
            assert choose(stream, {}) is Form.HUMAN
        os.close(controller)


class TestSetup:
    def test_records_below_the_level_are_left_out(self, root: logging.Logger) -> None:
        stream = io.StringIO()
        setup_logging("warning", stream, "json")
        logging.getLogger("a").info("quiet")
        logging.getLogger("a").warning("loud", extra={"n": 1})
        (line,) = stream.getvalue().splitlines()
        assert (json.loads(line)["message"], json.loads(line)["n"]) == ("loud", 1)

    def test_a_second_call_replaces_the_first(self, root: logging.Logger) -> None:
        first, second = io.StringIO(), io.StringIO()
        setup_logging("info", first, "json")
        setup_logging("INFO", second, "journal")
        logging.getLogger("a").info("once")
        assert (first.getvalue(), second.getvalue()) == ("", "<6>a: once\n")

    @pytest.mark.parametrize(("level", "form"), [("loud", "json"), ("info", "xml")])
    def test_unknown_words_are_refused(self, root: logging.Logger, level: str, form: str) -> None:
        with pytest.raises(ValueError, match=r"loud|xml"):
            setup_logging(level, io.StringIO(), form)
