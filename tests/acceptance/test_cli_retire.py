"""`tollkeeper retire`, with and without a running daemon: a month leaves the store for the archive, and nothing that
was counted of it changes."""

import gzip
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rating.store import retiring
from tests.acceptance.daemon_process import WITHIN_S, Site, one_line
from tests.small_site import a_record, account, line, ndjson, write_config

THIS = datetime.now(UTC).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
LAST = (THIS - timedelta(days=3)).replace(day=10)
OLD = (THIS - timedelta(days=40)).replace(day=10)
MONTH, PERIOD = OLD.strftime("%Y-%m"), LAST.strftime("%Y-%m")
KEPT = "retention_months = 1"
TODAY = datetime.now(UTC).date().isoformat()

DIE_AT = """
import os, sys
from mediation.cli import main
from mediation.cli.retire_months import Retirement
from rating.store import archiving, retiring
retiring.DROP_AFTER_US = 0
left = int(sys.argv[1])
def dying(work):
    def step(*arguments):
        global left
        if not left:
            os._exit(9)
        left -= 1
        return work(*arguments)
    return step
Retirement._give = dying(Retirement._give)
archiving._sync = dying(archiving._sync)
archiving.sync_directory = dying(archiving.sync_directory)
sys.exit(main(sys.argv[2:]))
"""
"""Ends without a last word before the n-th thing that it makes durable."""


def records(moment: datetime, *numbers: int, name: str = "r") -> bytes:
    at = moment.isoformat()
    return ndjson(*(a_record(f"{name}-{n}", calling=line(n), start=at, answer=at) for n in numbers))


OLD_ONES = records(OLD, 0, 1, 2, name="old")


def take(site: Site, *batches: bytes) -> None:
    with site.serving() as daemon:
        with daemon.pop() as pop:
            for batch in batches:
                assert pop.send(batch).counts == (batch.count(b"\n"), 0, 0)
        assert daemon.terminate() == 0


def keep_less(site: Site) -> None:
    """From now on the old month is before the retention."""
    write_config(site.directory, site.store, in_store=KEPT)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads meanwhile, but for those that ask the daemon."""
    monkeypatch.setattr(retiring, "DROP_AFTER_US", 0)


@pytest.fixture
def billed(provisioned: Site) -> Site:
    """A site with calls in a month that is over for long enough, and in the one after it, all on bills."""
    take(provisioned, OLD_ONES, records(LAST, 0, 1))
    provisioned.done("bill-run", "--period", MONTH)
    provisioned.done("bill-run", "--period", PERIOD)
    keep_less(provisioned)
    return provisioned


@pytest.fixture(params=[False, True], ids=["alone", "while the daemon runs"])
def retirable(billed: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    if not request.param:
        yield billed
        return
    write_config(billed.directory, billed.store)  # else it would do it before we look
    with billed.serving() as daemon:
        keep_less(billed)
        yield billed
        assert daemon.is_running
        assert daemon.terminate() == 0


def archived(site: Site) -> list[dict[str, Any]]:
    with gzip.open(site.directory / "archive" / f"transactions-{MONTH}.ndjson.gz") as lines:
        return [json.loads(line) for line in lines]


def tables(site: Site) -> set[str]:
    with closing(sqlite3.connect(site.store)) as cx:
        return {name for (name,) in cx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def assert_retired(site: Site, before: list[dict[str, Any]]) -> None:
    """The month is in the archive and nowhere else, and everything else is as it was."""
    gone = [one for one in before if one["id"].startswith("old")]
    assert [{name: value for name, value in one.items() if name in gone[0]} for one in archived(site)] == gone
    assert site.export() == [one for one in before if one not in gone]
    month = MONTH.replace("-", "")
    assert not {f"transactions_{month}", f"natural_keys_{month}"} & tables(site)
    code, recounted = site.answer("recount")
    assert (code, recounted["differences"], recounted["transactions"], recounted["bills"]) == (0, 0, 5, 6)
    assert recounted["charges"] == "3.300000"
    assert site.answer("account-for", "--day", TODAY)[0] == 0
    assert {path.name for path in (site.directory / "archive").iterdir()} == {
        f"transactions-{MONTH}.json",
        f"transactions-{MONTH}.ndjson.gz",
    }


def test_a_month_leaves_the_store_and_nothing_that_was_counted_changes(retirable: Site) -> None:
    before, accounted = retirable.export(), retirable.answer("account-for", "--day", TODAY)
    code, answer = retirable.answer("retire")
    assert (code, [one["month"] for one in answer["retired"]], answer["kept_back"]) == (0, [MONTH], [])
    assert_retired(retirable, before)
    assert retirable.answer("account-for", "--day", TODAY) == accounted
    assert retirable.answer("retire")[1]["retired"] == []


def test_the_manifest_says_what_the_file_holds(billed: Site) -> None:
    billed.done("retire")
    archive = billed.directory / "archive"
    told = json.loads((archive / f"transactions-{MONTH}.json").read_text())
    file = archive / told["file"]
    assert (told["month"], told["transactions"], told["charge"]) == (MONTH, 3, "1.980000")
    assert (told["bytes"], told["sha256"]) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
    assert file.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("restarted", [False, True], ids=["the daemon runs on", "a daemon that keeps more"])
def test_a_record_of_a_retired_month_is_not_charged_once_more(billed: Site, restarted: bool) -> None:
    """Whatever those in front of the store believe to be the retention."""
    if restarted:
        billed.done("retire")
    write_config(billed.directory, billed.store)
    with billed.serving() as daemon:
        if not restarted:
            keep_less(billed)
            billed.done("retire", "--month", MONTH)
        before = billed.export()
        with daemon.pop() as pop:
            assert pop.send(OLD_ONES).counts == (0, 0, 3)
            assert pop.send(OLD_ONES).counts == (0, 3, 0)
        billed.done("suspense", "recycle", "--reason", "too-old")
        assert billed.export() == before
        with closing(sqlite3.connect(billed.store)) as cx:
            assert set(cx.execute("SELECT reason, state FROM suspense")) == {("too-old", "open")}
        assert daemon.terminate() == 0
    assert billed.answer("account-for", "--day", TODAY)[0] == 0


def test_the_daemon_does_it_by_itself_and_goes_on_taking_calls(billed: Site) -> None:
    before = billed.export()
    with billed.serving() as daemon:
        deadline = time.monotonic() + WITHIN_S
        with daemon.pop() as pop:
            while not any("months retired" in said for said in daemon.log):
                assert time.monotonic() < deadline, daemon.text
                assert pop.send(records(LAST, 0, 1)).counts == (0, 2, 0)
                time.sleep(0.02)
        assert_retired(billed, before)
        assert daemon.terminate() == 0
    assert_retired(billed, before)
    with billed.serving() as daemon:  # what it begins with
        assert billed.answer("recount")[1]["differences"] == 0


def test_a_month_with_a_call_on_no_bill_stays(provisioned: Site) -> None:
    take(provisioned, records(OLD, 0, 1, name="old"))
    provisioned.done("bill-run", "--period", MONTH, "--account", account(0))
    keep_less(provisioned)
    before = provisioned.export()
    code, answer = provisioned.answer("retire")
    why = f"transaction 2 of account {account(1)} is on no bill yet"
    assert (code, answer["retired"], answer["kept_back"]) == (0, [], [{"month": MONTH, "why": why}])
    ended = provisioned.command("retire", "--month", MONTH, "--json")
    assert (ended.returncode, one_line(ended.stderr)) == (1, f"tollkeeper retire: {MONTH} stays: {why}")
    assert provisioned.export() == before
    assert provisioned.answer("recount")[1]["differences"] == 0
    provisioned.done("bill-run", "--period", MONTH)
    assert [one["month"] for one in provisioned.answer("retire")[1]["retired"]] == [MONTH]


def test_wherever_it_is_killed_nothing_is_lost_and_the_next_run_ends_it(billed: Site, tmp_path: Path) -> None:
    whole, before = tmp_path / "whole.db", billed.export()
    shutil.copy(billed.store, whole)
    for step in range(100):
        for left in billed.store.parent.glob(billed.store.name + "-*"):
            left.unlink()
        shutil.copy(whole, billed.store)
        shutil.rmtree(billed.directory / "archive", ignore_errors=True)
        arguments = (str(step), "retire", "--config", str(billed.config))
        code = subprocess.run([sys.executable, "-c", DIE_AT, *arguments], timeout=WITHIN_S).returncode
        if code == 0:
            break
        assert code == 9
        code, recounted = billed.answer("recount")
        assert (code, recounted["transactions"], recounted["charges"]) == (0, 5, "3.300000")
        assert billed.answer("account-for", "--day", TODAY)[0] == 0
        there = len(billed.export())
        assert there == 5 or (there == 2 and len(archived(billed)) == 3)
        assert billed.answer("retire")[0] == 0
        assert_retired(billed, before)
    assert step > 8, "it was not killed at every step"


def test_another_ones_archive_is_not_overwritten(billed: Site) -> None:
    archive = billed.directory / "archive"
    archive.mkdir()
    theirs = archive / f"transactions-{MONTH}.ndjson.gz"
    theirs.write_bytes(b"of another store")
    ended = billed.command("retire")
    said = f"{theirs} is there already, of another store or of this one before a restore"
    assert (ended.returncode, said in one_line(ended.stderr)) == (1, True)
    assert (theirs.read_bytes(), len(billed.export())) == (b"of another store", 5)


def test_an_archive_that_cannot_be_written_leaves_the_month_where_it_is(billed: Site) -> None:
    (billed.directory / "archive").mkdir()
    (billed.directory / "archive" / f"transactions-{MONTH}.ndjson.gz.part").mkdir()
    ended = billed.command("retire")
    assert (ended.returncode, "nothing of the month was dropped" in one_line(ended.stderr)) == (1, True)
    assert len(billed.export()) == 5
    assert billed.answer("recount")[1]["differences"] == 0


def test_who_asks_for_a_retired_month_is_told_where_it_is(billed: Site) -> None:
    billed.done("retire")
    archive = billed.directory / "archive"
    ended = billed.command("export", "transactions", "--to", f"{PERIOD}-01")
    assert (ended.returncode, ended.stdout, one_line(ended.stderr)) == (
        0,
        b"",
        f"tollkeeper export: {MONTH}: retired, the transactions are in {archive}",
    )
    assert billed.command("export", "transactions", "--from", f"{PERIOD}-01").stderr == b""
    assert one_line(billed.command("explain", "1").stderr) == (
        "tollkeeper explain: there is no transaction 1: export transactions lists them;"
        f" those of {MONTH} are in {archive}"
    )


@pytest.mark.parametrize(
    ("in_store", "options", "code", "words"),
    [
        ("", (), 2, "store.retention_months is 0, which keeps all: set it to retire months"),
        (KEPT, ("--month", "2026-13"), 2, "'2026-13' is not a month: write YYYY-MM, such as 2025-03"),
        (KEPT, ("--month", PERIOD), 1, f"{PERIOD} has no transactions, or is not over for 1 months"),
    ],
)
def test_what_cannot_be_done_is_said(
    provisioned: Site, in_store: str, options: tuple[str, ...], code: int, words: str
) -> None:
    write_config(provisioned.directory, provisioned.store, in_store=in_store)
    ended = provisioned.command("retire", *options)
    assert (ended.returncode, words in one_line(ended.stderr)) == (code, True), ended.stderr
