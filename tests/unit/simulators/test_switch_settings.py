"""The options of a simulated switch; what it does is seen where exchanges are tested."""

from pathlib import Path

import pytest

from mediation.cli import main
from simulators.command_line import UsageError
from simulators.switch_settings import parse_options

GOOD = ["--url", "http://127.0.0.1:8081"]


def test_options_are_read(tmp_path: Path) -> None:
    (tmp_path / "pop.token").write_text("t0ken\n")
    (tmp_path / "lines.csv").write_text("line,account,provider,service,switch\n+12125550142,1,T,long-distance,\n")
    options = parse_options(
        [*GOOD, "--token-file", str(tmp_path / "pop.token"), "--name", "kam1", "--listen", "127.0.0.1:15080",
         "--lines", str(tmp_path / "lines.csv"), "--count", "5", "--rate", "2", "--speed", "10", "--seed", "7",
         "--faults", "dup=0.5", "--drain", "3"]
    )  # fmt: skip
    assert (options.name, options.listen, options.url, options.token) == (
        "kam1", ("127.0.0.1", 15080), GOOD[1], "t0ken",
    )  # fmt: skip
    assert [line.number for line in options.lines] == ["+12125550142"]
    assert (options.count, options.rate, options.speed, options.seed, options.drain_s) == (5, 2.0, 10.0, 7, 3.0)
    assert options.faults.dup == 0.5


def test_nobody_need_hear_of_its_calls() -> None:
    assert parse_options([]).url is None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (GOOD, "--token"),
        ([*GOOD, "--token", "t", "--token-file", "f"], "--token"),
        ([*GOOD, "--token-file", "/none/such"], "cannot be used"),
        (["--url", "nowhere"], "nowhere"),
        (["--listen", "15080"], "HOST:PORT"),
        (["--rate", "0"], "above 0"),
        (["--speed", "fast"], "above 0"),
        (["--count", "x"], "whole number"),
        (["--faults", "rain=1"], "rain"),
    ],
)
def test_what_cannot_be_used_is_told(argv: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_options(argv)


def test_the_command_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "switch", "--rate", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["simulate", "switch", "--help"])
    assert "dlg.end_dlg" in capsys.readouterr().out
