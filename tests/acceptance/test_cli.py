"""The command line as a person meets it: help, exit codes, and one line that says what is wrong."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mediation.cli import main
from tests.acceptance.daemon_process import Site, one_line, run_here, started, tollkeeper
from tests.small_site import a_record, ndjson

COMMANDS = ("serve", "check-config", "migrate", "import", "rate", "explain", "export", "recount", "account-for",
            "simulate", "bench")  # fmt: skip

ON_A_SITE: dict[str, tuple[str, ...]] = {
    "serve": ("serve",),
    "check-config": ("check-config",),
    "migrate": ("migrate",),
    "import accounts": ("import", "accounts", "/dev/null"),
    "import lines": ("import", "lines", "/dev/null"),
    "explain": ("explain", "1"),
    "export": ("export", "transactions"),
    "recount": ("recount",),
    "account-for": ("account-for", "--day", "2025-11-20"),
}
"""Commands that take --config."""
READING = ("explain", "export", "recount", "account-for")


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_command_has_help(name: str) -> None:
    ended = run_here(*name.split(), "--help")
    assert ended.returncode == 0
    assert ended.stderr == b""
    text = ended.stdout.decode()
    assert text.startswith("usage: ")
    assert len(text.split()) > 20
    if not name:
        assert [name for name in COMMANDS if name not in text] == []


def test_the_console_script_is_the_same_program() -> None:
    script = Path(sys.executable).with_name("tollkeeper")
    ended = subprocess.run([script, "--help"], capture_output=True, timeout=30)
    assert ended.returncode == 0
    assert ended.stdout.startswith(b"usage: tollkeeper ")
    assert ended.stdout == tollkeeper("--help").stdout


def test_exit_codes_and_lines_reach_the_shell(site: Site) -> None:
    """Most tests here call the program's main; this one shows that a shell sees the same."""
    for arguments, code in (
        (("export", "transactions", "--config", "missing.toml"), 2),
        (("export", "transactions", "--config", site.config), 1),
        (("check-config", "--config", site.config), 0),
    ):
        ended = tollkeeper(*arguments)
        assert ended.returncode == code
        assert not code or one_line(ended.stderr)


WRONG_USAGE: dict[str, tuple[str, ...]] = {
    "no command": (),
    "an unknown command": ("rattle",),
    "no configuration": ("export", "transactions"),
    "an unknown option": ("recount", "--config", "x.toml", "--fast"),
    "nothing to export": ("export", "--config", "x.toml"),
    "an unknown thing to export": ("export", "money", "--config", "x.toml"),
    "an unknown kind of import": ("import", "customers", "x.csv", "--config", "x.toml"),
    "no file to import": ("import", "accounts", "--config", "x.toml"),
    "no tariff": ("rate",),
    "a transaction that is no number": ("explain", "abc", "--config", "x.toml"),
    "a day that is none": ("account-for", "--day", "yesterday", "--config", "x.toml"),
    "a day that does not exist": ("account-for", "--day", "2025-02-30", "--config", "x.toml"),
    "no day": ("account-for", "--config", "x.toml"),
    "a time without an offset": ("export", "transactions", "--from", "2025-11-20T09:00:00", "--config", "x.toml"),
    "a time that is none": ("export", "transactions", "--to", "tomorrow", "--config", "x.toml"),
    "a date that does not exist": ("export", "transactions", "--to", "2025-13-01", "--config", "x.toml"),
}


@pytest.mark.parametrize("arguments", WRONG_USAGE.values(), ids=WRONG_USAGE.keys())
def test_wrong_usage_is_exit_2_and_one_line(arguments: tuple[str, ...]) -> None:
    ended = run_here(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == b""
    one_line(ended.stderr)


@pytest.mark.parametrize("day", ["20251120", "2025-W47-4", "2025W474", "2025-11-20T00:00", "2025-11-2", "25-11-20", ""])
def test_a_day_is_written_in_one_way_only(day: str) -> None:
    ended = run_here("account-for", "--day", day, "--config", "missing.toml")
    assert ended.returncode == 2
    assert "is not a date: write YYYY-MM-DD" in one_line(ended.stderr)


@pytest.mark.parametrize("name", ON_A_SITE)
def test_a_missing_configuration_is_exit_2_and_named(name: str, tmp_path: Path) -> None:
    ended = run_here(*ON_A_SITE[name], "--config", tmp_path / "missing.toml")
    assert ended.returncode == 2
    assert "missing.toml" in one_line(ended.stderr)


STORE = '[store]\nurl = "sqlite:////nowhere/tollkeeper.db"\n'
BAD_CONFIGURATIONS: dict[str, tuple[bytes, str]] = {
    "no TOML": (b"[store\n", ""),
    "not UTF-8": (b'[store]\nurl = "\xff"\n', ""),
    "empty": (b"", "store"),
    "no url": (b"[store]\n", "url"),
    "an unknown engine": (b'[store]\nurl = "oracle://x"\n', "url"),
    "an unknown section": (f"{STORE}[stoer]\n".encode(), "stoer"),
    "an unknown key": (f"{STORE}colour = 1\n".encode(), "colour"),
    "a value of another kind": (f"{STORE}[ops]\nlisten = 8082\n".encode(), "listen"),
    "a port that is none": (f'{STORE}[ops]\nlisten = "127.0.0.1:99999"\n'.encode(), "listen"),
    "an unknown feed": (f'{STORE}[feeds.x]\ntype = "carrier-pigeon"\n'.encode(), "type"),
    "a feed without an address": (f'{STORE}[feeds.x]\ntype = "pop"\n'.encode(), "listen"),
    "an empty token": (
        f'{STORE}[feeds.x]\ntype = "pop"\nlisten = "127.0.0.1:0"\n[feeds.x.sources.a]\ntoken = ""\n'.encode(), "token",
    ),
    "two sources with one token": (
        f'{STORE}[feeds.x]\ntype = "pop"\nlisten = "127.0.0.1:0"\n[feeds.x.sources.a]\ntoken = "t"\n'
        '[feeds.x.sources.b]\ntoken = "t"\n'.encode(), "token",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["serve", "check-config", "recount"])
@pytest.mark.parametrize(("text", "key"), BAD_CONFIGURATIONS.values(), ids=BAD_CONFIGURATIONS.keys())
def test_a_bad_configuration_is_exit_2_and_names_file_and_key(tmp_path: Path, text: bytes, key: str, name: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(text)
    ended = run_here(name, "--config", file)
    assert ended.returncode == 2
    line = one_line(ended.stderr)
    assert str(file) in line
    assert key in line


def test_a_good_configuration_is_said_to_be_good(site: Site) -> None:
    site.done("check-config")
    code, answer = site.answer("check-config")
    assert code == 0
    assert answer["ok"] is True
    assert not site.store.exists()


@pytest.mark.parametrize("name", READING)
def test_a_missing_store_is_exit_1_and_the_line_says_what_to_do(site: Site, name: str) -> None:
    ended = run_here(*ON_A_SITE[name], "--config", site.config)
    assert ended.returncode == 1
    assert "tollkeeper.db" in one_line(ended.stderr)
    assert ended.stdout == b""
    assert not site.store.exists()


@pytest.mark.parametrize("name", [name for name in ON_A_SITE if name != "check-config"])
def test_a_file_that_is_no_store_is_exit_1_and_left_alone(site: Site, name: str) -> None:
    garbage = b"this is no store\n" * 1000
    site.store.write_bytes(garbage)
    ended = site.process(*ON_A_SITE[name], within_s=5)
    assert ended.returncode == 1
    assert one_line(ended.stderr)
    assert ended.stdout == b""
    assert site.store.read_bytes() == garbage


def schema_moved_by(site: Site, steps: int) -> None:
    """Make the store one of another version of the program."""
    assert main(["migrate", "--config", str(site.config)]) == 0
    with closing(sqlite3.connect(site.store)) as cx:
        cx.execute("UPDATE schema_migrations SET number = number + ?", (steps,))
        cx.commit()


@pytest.mark.parametrize("name", ["serve", "migrate", "import accounts", "export", "recount"])
def test_a_newer_programs_store_is_refused_with_exit_1(site: Site, name: str) -> None:
    schema_moved_by(site, 98)
    ended = site.process(*ON_A_SITE[name], within_s=5)
    assert ended.returncode == 1
    assert "newer" in one_line(ended.stderr)
    assert ended.stdout == b""


@pytest.mark.parametrize("name", READING)
def test_an_older_programs_store_is_to_be_migrated_first(site: Site, name: str) -> None:
    schema_moved_by(site, -1)
    ended = run_here(*ON_A_SITE[name], "--config", site.config)
    assert ended.returncode == 1
    assert "migrate" in one_line(ended.stderr)


@pytest.mark.parametrize("name", ["serve", "migrate", "import accounts"])
def test_a_store_in_a_directory_that_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    site = Site(tmp_path / "site", store=tmp_path / "missing" / "tollkeeper.db")
    accounts = site.write("accounts.csv", "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day\n")
    arguments = ("import", "accounts", accounts) if name == "import accounts" else (name,)
    ended = site.process(*arguments)
    assert ended.returncode in (1, 2)
    assert "missing" in one_line(ended.stderr)


def test_migrate_creates_the_store_and_does_it_once(site: Site) -> None:
    code, first = site.answer("migrate")
    assert (code, site.store.is_file()) == (0, True)
    assert first["applied"]
    code, second = site.answer("migrate")
    assert (code, second["applied"], second["schema"]) == (0, [], first["schema"])
    assert site.export() == []


def test_only_one_process_writes_a_store(provisioned: Site) -> None:
    with provisioned.serving() as daemon:
        migrate = provisioned.command("migrate")
        assert migrate.returncode == 1
        assert "tollkeeper.db" in one_line(migrate.stderr)
        with started(provisioned.config) as second:
            assert second.wait() == 1
            assert "Traceback" not in second.text
            assert "tollkeeper.db" in second.log[-1]
        # The first does not notice: not on its feed, and not on the socket beside the store.
        with daemon.pop() as pop:
            assert pop.send(ndjson(a_record("x"))).counts == (1, 0, 0)
        assert provisioned.answer("recount")[1]["transactions"] == 1
        provisioned.done("import", "accounts", provisioned.files.accounts)
        assert daemon.terminate() == 0
    provisioned.done("migrate")


def test_a_reader_that_has_seen_enough_is_no_failure(provisioned: Site) -> None:
    """As with `| head -1`."""
    with provisioned.serving() as daemon, daemon.pop() as pop:
        for n in range(8):
            pop.send(ndjson(*(a_record(f"{n}-{m}") for m in range(500))))
    program = (sys.executable, "-m", "mediation.cli")
    with subprocess.Popen(
        (*program, "export", "transactions", "--config", provisioned.config),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as export:  # fmt: skip
        assert export.stdout
        assert export.stderr
        assert export.stdout.readline().startswith(b"{")
        export.stdout.close()
        said = export.stderr.read()
        assert export.wait(30) == 0
    assert said == b""


def test_a_folder_that_is_not_there_is_found_by_check_config(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(STORE)
    ended = run_here("check-config", "--config", file)
    assert ended.returncode == 0  # it may be there where the configuration is for
    said = one_line(ended.stderr)
    assert all(words in said for words in ("site.toml", "store.url", "no directory /nowhere", "make it"))


def test_an_export_of_nothing_says_why(provisioned: Site) -> None:
    ended = provisioned.command("export", "transactions", "--account", "zz")
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert "there is no account zz: mind the number" in one_line(ended.stderr)
    ended = provisioned.command("export", "transactions", "--from", "2026-02-01", "--to", "2026-01-01")
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert "--from is after --to" in one_line(ended.stderr)
