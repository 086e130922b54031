"""The command line of the POP: what it takes, and what it refuses in one line."""

from datetime import datetime
from pathlib import Path

import pytest

from simulators.command_line import UsageError
from simulators.faults import Faults
from simulators.pop import main
from simulators.pop_settings import parse_options

ENOUGH = ["--url", "http://127.0.0.1:8081", "--token", "t"]


def test_options_have_defaults() -> None:
    options = parse_options(ENOUGH)
    assert (options.url, options.source, options.token, options.listen) == (
        "http://127.0.0.1:8081",
        "pop",
        "t",
        ("127.0.0.1", 0),
    )
    assert (options.rate, options.count, options.start, options.journal) == (10.0, 0, None, None)
    assert (options.settings.batch_records, options.settings.in_flight, options.settings.faults) == (500, 8, Faults())


def test_options_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("l.csv").write_text("line,account,provider,service,switch\n+12125550142,1,T,long-distance,\n")
    given = (
        "--seed 7 --rate 0 --count 20 --batch 3 --in-flight 2 --faults dup=0.5,delay=1 --gzip --journal j --lines l.csv"
    )
    options = parse_options([*ENOUGH, *given.split(), "--start", "2026-11-20T09:00:00-05:00", "--listen", "[::1]:80"])
    assert options.settings.faults == Faults(dup=0.5, delay=1.0)
    assert (options.settings.seed, options.settings.batch_records, options.settings.in_flight) == (7, 3, 2)
    assert (options.rate, options.count, options.gzipped, options.websocket) == (0.0, 20, True, False)
    assert [line.number for line in options.lines] == ["+12125550142"]
    assert (options.journal, options.listen) == (Path("j"), ("::1", 80))
    assert options.start == datetime.fromisoformat("2026-11-20T14:00:00+00:00")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--token", "t"], "--url"),
        (["--url", "http://127.0.0.1:8081"], "either --token or --token-file"),
        ([*ENOUGH, "--token-file", "f"], "either --token or --token-file"),
        ([*ENOUGH, "--websocket", "--gzip"], "leave one of them out"),
        (["--token", "t", "--url", "127.0.0.1:8081"], "such as http://127.0.0.1:8081"),
        (["--token", "t", "--url", "http://h:x"], "such as http://127.0.0.1:8081"),
        ([*ENOUGH, "--faults", "dup=2"], "dup takes a probability"),
        ([*ENOUGH, "--rate", "-1"], "number from 0"),
        ([*ENOUGH, "--rate", "inf"], "number from 0"),
        ([*ENOUGH, "--rate", "x"], "number from 0"),
        ([*ENOUGH, "--count", "-1"], "whole number from 0"),
        ([*ENOUGH, "--batch", "0"], "whole number from 1"),
        ([*ENOUGH, "--start", "2026-11-20T09:00:00"], "an instant with an offset"),
        ([*ENOUGH, "--start", "noon"], "an instant with an offset"),
        ([*ENOUGH, "--listen", "8081"], "not HOST:PORT"),
        ([*ENOUGH, "--listen", "h:99999"], "not HOST:PORT"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_options(arguments)
    assert message in str(refusal.value)
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--lines", "nowhere.csv"],
        ["--lines", "empty.csv"],
        ["--token-file", "nowhere"],
        ["--population", "1000000"],
        ["--journal", "empty.csv"],
    ],
)
def test_a_file_that_cannot_be_used_is_wrong_usage(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.csv").write_text("")
    token = [] if "--token-file" in arguments else ["--token", "t"]
    assert main(["--url", "http://127.0.0.1:1", *token, *arguments]) == 2
    assert arguments[-1].split("=")[0] in (message := capsys.readouterr().err) or "--population" in message
    assert message.count("\n") == 1


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "examples:" in capsys.readouterr().out
