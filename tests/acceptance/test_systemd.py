"""The unit as systemd itself reads it, and the program within its bounds."""

import re
import shutil
import subprocess
import sys
import tomllib
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.acceptance import daemon_process, under_filter
from tests.acceptance.daemon_process import PROGRAM, Site, started, tollkeeper
from tests.small_site import a_record, ndjson
from tests.test_tidy import ROOT

UNIT = ROOT / "systemd" / "tollkeeper.service"
INSTALLED = "/opt/tollkeeper/bin/tollkeeper"
EXPOSURE = 1.5
"""At most; systemd's scale goes to 10, and a unit that says nothing has 9.6."""


def systemd_analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run it; skips where there is none."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    return subprocess.run(("systemd-analyze", *map(str, arguments)), capture_output=True, text=True, timeout=60)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there, as systemd looks for it."""
    text = UNIT.read_text()
    assert text.count(INSTALLED) == 1
    program = Path(sys.executable).with_name("tollkeeper")
    path = tmp_path / UNIT.name
    path.write_text(text.replace(INSTALLED, str(program)))
    return path


def verify(unit: Path) -> None:
    ended = systemd_analyze("verify", "--man=no", unit)
    # It may have something to say of other units that are installed.
    own = [
        line for line in ended.stderr.splitlines() if not re.match(r"/(usr/)?lib/systemd/system/(?!tollkeeper)", line)
    ]
    assert (ended.returncode, ended.stdout, own) == (0, "", [])


def test_systemd_has_nothing_against_the_unit(unit: Path) -> None:
    verify(unit)


@pytest.mark.peers("systemd-analyze")
def test_systemd_is_there_and_has_nothing_against_the_unit(unit: Path) -> None:
    verify(unit)


def test_a_setting_that_systemd_does_not_know_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=strictly"))
    assert "strictly" in systemd_analyze("verify", "--man=no", unit).stderr


def test_the_unit_exposes_little(unit: Path) -> None:
    ended = systemd_analyze("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"exposure level for \S+: ([\d.]+)", ended.stdout)
    assert found, ended.stderr
    assert float(found[1]) <= EXPOSURE, ended.stdout


def settings() -> dict[str, str]:
    parser = RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read(UNIT)
    return dict(parser["Service"])


def test_a_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[stoer]\n")
    assert settings()["RestartPreventExitStatus"] == str(tollkeeper("serve", "--config", broken).returncode)


def test_the_service_has_more_time_to_stop_than_the_daemon_takes() -> None:
    from mediation.daemon import DRAIN_S
    from rating.store.sqlite import CLOSE_S

    assert int(settings()["TimeoutStopSec"].removesuffix("s")) >= 2 * (DRAIN_S + CLOSE_S)


def test_the_unit_and_its_companions_name_one_account() -> None:
    account = settings()["User"]
    assert settings()["Group"] == account
    assert f"u {account} " in (ROOT / "systemd/sysusers.d/tollkeeper.conf").read_text()
    tmpfiles = (ROOT / "systemd/tmpfiles.d/tollkeeper.conf").read_text()
    assert "/var/spool/tollkeeper" in settings()["ReadWritePaths"]
    assert f"d /var/spool/tollkeeper 2770 {account} {account} -" in tmpfiles


def test_the_guides_configuration_is_one(tmp_path: Path) -> None:
    """With credentials as systemd hands them over."""
    guide = (ROOT / "systemd/README.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    named = [s["token_credential"] for s in tomllib.loads(text)["feeds"]["pops"]["sources"].values()
             if "token_credential" in s]  # fmt: skip
    assert named
    for name in named:
        (credentials / name).write_text("a-token\n")
    for name in re.findall(r'token_file = "([\w.-]+)"', text):
        (tmp_path / name).write_text("another-token\n")
    config = tmp_path / "tollkeeper.toml"
    config.write_text(text.replace("/var/spool/tollkeeper/asterisk", str(tmp_path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
        assert tollkeeper("check-config", "--config", config).returncode == 0
    ended = tollkeeper("check-config", "--config", config)
    assert ended.returncode == 2
    assert b"CREDENTIALS_DIRECTORY" in ended.stderr


def test_the_daemon_works_within_the_units_system_calls(provisioned: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    confined = (sys.executable, under_filter.__file__, str(UNIT), *PROGRAM)
    if subprocess.run((*confined, "--help"), capture_output=True).returncode == under_filter.CANNOT:
        pytest.skip("no filter of system calls can be set here")
    monkeypatch.setattr(daemon_process, "PROGRAM", confined)
    with started(provisioned.config) as daemon:
        daemon.wait_ready()
        with daemon.pop() as pop:
            assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        provisioned.done("import", "accounts", provisioned.files.accounts)
        assert daemon.terminate() == 0, daemon.text
    assert len(provisioned.export()) == 1


def test_the_filter_of_these_tests_denies_what_the_unit_does() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    calls = under_filter.allowed(UNIT)
    assert {"read", "openat", "fdatasync", "fcntl", "prlimit64"} <= calls
    assert calls & {"ptrace", "mount", "chroot", "setuid", "reboot", "bpf", "keyctl"} == set()
