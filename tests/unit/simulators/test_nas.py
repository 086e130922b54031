"""The options of a simulated NAS; what it does is seen where the driver and the feed are tested."""

from pathlib import Path

import pytest

from mediation.cli import main
from simulators.command_line import UsageError
from simulators.nas_settings import parse_options

GOOD = ["--accounting", "127.0.0.1:1813", "--secret", "s"]


def test_options_are_read(tmp_path: Path) -> None:
    (tmp_path / "nas.secret").write_text("s3cret\n")
    (tmp_path / "lines.csv").write_text("line,account,provider,service,switch\n+12125550142,1,T,long-distance,\n")
    options = parse_options(
        ["--accounting", "192.0.2.1:1813", "--secret-file", str(tmp_path / "nas.secret"), "--name", "gw1",
         "--listen", "127.0.0.1:3799", "--lines", str(tmp_path / "lines.csv"), "--count", "5", "--rate", "2",
         "--talk", "0.5", "--nak", "0.1", "--silence", "0.2", "--lost-ack", "0.3", "--faults", "dup=0.5,delay=0.1",
         "--seed", "7", "--no-timestamps"]
    )  # fmt: skip
    settings = options.settings
    assert (settings.accounting, settings.listen) == (("192.0.2.1", 1813), ("127.0.0.1", 3799))
    assert (settings.secret, settings.name, settings.seed, settings.timestamps) == (b"s3cret", "gw1", 7, False)
    assert (settings.nak, settings.silence, settings.lost_ack, settings.faults.dup) == (0.1, 0.2, 0.3, 0.5)
    assert ([line.number for line in options.lines], options.count, options.talk_s) == (["+12125550142"], 5, 0.5)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "--accounting"),
        (["--accounting", "nowhere", "--secret", "s"], "HOST:PORT"),
        (GOOD[:2], "--secret"),
        ([*GOOD, "--secret-file", "f"], "--secret"),
        ([*GOOD[:2], "--secret-file", "/none/such"], "cannot be used"),
        ([*GOOD, "--nak", "0.6", "--silence", "0.6"], "together"),
        ([*GOOD, "--nak", "2"], "probability"),
        ([*GOOD, "--rate", "0"], "above 0"),
        ([*GOOD, "--count", "x"], "whole number"),
        ([*GOOD, "--faults", "rain=1"], "rain"),
    ],
)
def test_what_cannot_be_used_is_told(argv: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_options(argv)


def test_the_command_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "nas", "--accounting", "nowhere"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["simulate", "nas", "--help"])
    assert "--lost-ack" in capsys.readouterr().out
