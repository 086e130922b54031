"""`tollkeeper rerate`, with and without a running daemon: every record is charged once, by its latest charge."""

import csv
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from tests.acceptance.daemon_process import PROGRAM, WITHIN_S, Site, one_line
from tests.small_site import BOSTON, DECK, TARIFF, a_record, account, line, ndjson, some_records

DEARER: Final = DECK.replace("0.0500,0.6000", "0.0500,1.2000")
THIS: Final = datetime.now(UTC).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
LAST: Final = (THIS - timedelta(days=3)).replace(day=10)
BEFORE: Final = (THIS - timedelta(days=40)).replace(day=10)


def calls() -> bytes:
    """Two calls to London of the first account, one of the second, and one within the country."""
    return ndjson(
        a_record("l1"),
        a_record("l2", duration=121, start="2025-12-01T00:00:00Z", answer="2025-12-01T00:00:03Z"),
        a_record("l3", calling=line(1)),
        a_record("b1", called=BOSTON),
    )


def import_deck(site: Site, deck: str, *, toml: str = TARIFF) -> None:
    directory = site.directory / "decks"
    directory.mkdir(exist_ok=True)
    (directory / "standard.csv").write_text(deck)
    (directory / "standard.toml").write_text(toml)
    site.done("import", "tariff", directory / "standard.toml")


@pytest.fixture(params=[False, True], ids=["alone", "while the daemon runs"])
def charged(provisioned: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with the calls, whose deck has become dearer since."""
    with provisioned.serving() as daemon:
        with daemon.pop() as pop:
            assert pop.send(calls()).counts == (4, 0, 0)
        if not request.param:
            assert daemon.terminate() == 0
        import_deck(provisioned, DEARER)
        yield provisioned
        assert daemon.is_running == request.param
        assert provisioned.answer("recount")[1]["differences"] == 0
        if request.param:
            assert daemon.terminate() == 0
            assert provisioned.answer("recount")[1]["differences"] == 0


def by_record(site: Site) -> dict[str, list[tuple[str, int | None]]]:
    """Of each record every charge, with what it reverses, in the order in which they were posted."""
    found: dict[str, list[tuple[str, int | None]]] = {}
    for one in sorted(site.export(), key=lambda one: int(one["transaction"])):
        found.setdefault(one["id"], []).append((one["charge"], one["reverses"]))
    return found


def without(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in names}


def test_a_dry_run_says_what_the_run_then_does_and_a_second_run_does_nothing(charged: Site) -> None:
    wanted = ("rerate", "--from", "2025-01-01", "--destination", "London")
    before = charged.export()
    code, tried = charged.answer(*wanted, "--dry-run")
    assert (code, charged.export()) == (0, before)
    assert without(tried, "seconds", "destinations", "accounts") == {
        "dry_run": True,
        "run": None,
        "looked_at": 3,
        "changed": 3,
        "unchanged": 0,
        "not_ratable": {},
        "passed_over": 0,
        "charges": {"USD": {"transactions": 3, "before": "2.58", "after": "5.01", "difference": "2.43"}},
    }
    assert [one["account"] for one in tried["accounts"]] == [account(0), account(1)]
    report = charged.directory / "changes.csv"
    code, done = charged.answer(*wanted, "--reason", "a wrong deck", "--report", report)
    assert (code, done["run"]) == (0, 1)
    assert without(done, "seconds", "dry_run", "run") == without(tried, "seconds", "dry_run", "run")
    assert by_record(charged) == {
        "l1": [("0.6600", None), ("-0.6600", 1), ("1.2700", None)],
        "b1": [("0.0660", None)],
        "l3": [("0.6600", None), ("-0.6600", 2), ("1.2700", None)],
        "l2": [("1.2600", None), ("-1.2600", 4), ("2.4700", None)],
    }
    rows = list(csv.DictReader(report.read_text().splitlines()))
    posted = {one["transaction"]: one for one in charged.export()}
    assert len(rows) == 3
    for row in rows:
        assert posted[int(row["reversal"])]["reverses"] == int(row["transaction"])
        assert posted[int(row["replacement"])]["charge"] == row["new_charge"]
        assert Decimal(row["new_charge"]) - Decimal(row["old_charge"]) == Decimal(row["difference"])
    assert charged.answer(*wanted)[1] | {"seconds": 0} == {
        "dry_run": False, "run": None, "looked_at": 3, "changed": 0, "unchanged": 3, "not_ratable": {},
        "passed_over": 0, "charges": {}, "destinations": [], "accounts": [], "seconds": 0,
    }  # fmt: skip


def test_explain_names_the_others_and_the_audit_log_who_it_was(charged: Site) -> None:
    charged.done("rerate", "--account", account(1), "--reason", "a wrong deck")
    taken_back = next(one for one in charged.export() if one["reverses"])
    original, reversal = taken_back["reverses"], taken_back["transaction"]
    told = {number: charged.done("explain", str(number)).decode() for number in (original, reversal, reversal + 1)}
    assert f"taken back  by transaction {reversal}\n" in told[original]
    assert f"charged     again by transaction {reversal + 1}\n" in told[original]
    assert f"takes back  transaction {original}," in told[reversal]
    assert "connect fee" not in told[reversal]
    assert f"instead of  transaction {original}," in told[reversal + 1]
    assert "connect fee 0.0500" in told[reversal + 1]
    assert all("run 1: a wrong deck" in text for text in told.values())
    _, explained = charged.answer("explain", str(original))
    assert (explained["correction"]["reversed_by"], explained["agrees"]) == (reversal, True)
    with closing(sqlite3.connect(charged.store)) as cx:
        ((action, subject, detail),) = cx.execute(
            "SELECT action, subject, detail FROM audit_log WHERE subject LIKE '%rerate%'"
        ).fetchall()
    assert (action, subject) == ("charge again", "run 1 of rerate")
    assert detail.startswith("a wrong deck: ")


def test_what_has_no_rate_today_is_left_and_named(charged: Site) -> None:
    import_deck(charged, "".join(row for row in DEARER.splitlines(keepends=True) if "London" not in row))
    _, done = charged.answer("rerate", "--from", "2025-01-01")
    assert (done["changed"], done["unchanged"], done["not_ratable"]) == (0, 1, {"no-rate": 3})
    assert "3 cannot be rated today (no-rate)" in charged.done("rerate", "--from", "2025-01-01").decode()
    assert len(charged.export()) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "without a restriction"),
        (("--account", "1"), 1, "there is no account 1"),
        (("--tariff", "gold"), 1, "there is no tariff gold: there are standard"),
        (("--transaction", "99"), 1, "there is no transaction 99"),
        (("--prefix", "x"), 2, "'x' is not the beginning of a number"),
        (("--prefix", "1", "--destination", "Home"), 2, "not allowed with"),
        (("--from", "yesterday"), 2, "'yesterday' is neither a date"),
        (("--tariff", "standard", "--report", "/nowhere/x.csv"), 2, "/nowhere/x.csv cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    provisioned: Site, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = provisioned.command("rerate", *arguments)
    assert ended.returncode == code
    assert says in one_line(ended.stderr)


def test_a_bill_that_was_issued_stays_and_the_next_one_has_the_difference(provisioned: Site) -> None:
    with provisioned.serving() as daemon:
        with daemon.pop() as pop:
            sent = ndjson(
                *(a_record(f"r{at:%m}", start=at.isoformat(), answer=at.isoformat()) for at in (BEFORE, LAST))
            )
            assert pop.send(sent).counts == (2, 0, 0)

        def bill_run(at: datetime) -> dict[str, Any]:
            return provisioned.answer("bill-run", "--period", at.strftime("%Y-%m"), "--account", account(0))[1]

        def bills() -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(provisioned.store)) as cx:
                return cx.execute(
                    "SELECT current_charges_micros, calls, document FROM bills ORDER BY number"
                ).fetchall()

        assert bill_run(BEFORE)["bills"] == 1
        (issued,) = bills()
        assert issued[:2] == (660_000, 1)
        import_deck(provisioned, DEARER)
        assert provisioned.answer("rerate", "--from", "2025-01-01")[1]["changed"] == 2
        assert bill_run(BEFORE)["already_billed"] == 1
        assert bill_run(LAST)["bills"] == 1
        assert bills()[0] == issued
        # The first call's reversal and what it costs now, and of the second call all three.
        assert bills()[1][:2] == (-660_000 + 1_270_000 + 1_270_000, 5)
        assert provisioned.answer("recount")[1]["differences"] == 0
        assert daemon.terminate() == 0


def test_records_that_come_meanwhile_are_taken_and_charged_once(provisioned: Site) -> None:
    with provisioned.serving() as daemon:
        with daemon.pop() as pop:
            for part in range(6):
                assert pop.send(ndjson(*some_records(1_000, f"p{part}"))).counts == (1_000, 0, 0)
        import_deck(provisioned, DEARER)
        stop, sent = threading.Event(), [0]

        def send() -> None:
            with daemon.pop("pop-b") as other:
                while not stop.is_set():
                    assert other.send(ndjson(*some_records(200, f"q{sent[0]}"))).counts == (200, 0, 0)
                    sent[0] += 200

        sending = threading.Thread(target=send)
        sending.start()
        try:
            _, done = provisioned.answer("rerate", "--tariff", "standard")
        finally:
            stop.set()
            sending.join()
        assert done["changed"] == 6_000
        assert sent[0] > 0
        recounted = provisioned.answer("recount")[1]
        assert (recounted["transactions"], recounted["differences"]) == (18_000 + sent[0], 0)
        costs = [charges[-1][0] for charges in by_record(provisioned).values()]
        assert costs == ["1.2700"] * (6_000 + sent[0])
        assert daemon.terminate() == 0


@pytest.mark.parametrize("killed", ["the command", "the daemon", "alone"])
def test_a_run_that_was_killed_is_ended_by_another_and_nothing_is_doubled(provisioned: Site, killed: str) -> None:
    with provisioned.serving() as daemon:
        with daemon.pop() as pop:
            for part in range(12):
                assert pop.send(ndjson(*some_records(1_000, f"p{part}"))).counts == (1_000, 0, 0)
        import_deck(provisioned, DEARER)
        if killed == "alone":
            assert daemon.terminate() == 0
        command = [*PROGRAM, "rerate", "--tariff", "standard", "--config", str(provisioned.config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            until = time.monotonic() + WITHIN_S
            while not rerated(provisioned):
                assert time.monotonic() < until
                assert running.poll() is None
                time.sleep(0.005)
            os.kill(daemon.pid if killed == "the daemon" else running.pid, signal.SIGKILL)
            running.wait(WITHIN_S)
    assert rerated(provisioned) > 0
    with provisioned.serving() as daemon:
        _, done = provisioned.answer("rerate", "--tariff", "standard")
        assert provisioned.answer("recount")[1]["differences"] == 0
        assert rerated(provisioned) == 12_000
        assert done["unchanged"] + done["changed"] == 12_000
        assert provisioned.answer("rerate", "--tariff", "standard")[1]["changed"] == 0
        charges = by_record(provisioned)
        assert {tuple(charge for charge, _ in found) for found in charges.values()} == {("0.6600", "-0.6600", "1.2700")}
        with daemon.pop() as pop:
            assert pop.send(ndjson(*some_records(1_000, "p0"))).counts == (0, 1_000, 0)
        assert daemon.terminate() == 0


def rerated(site: Site) -> int:
    # Only to read: else its end might empty the log and be in the way of a writer that begins.
    with closing(sqlite3.connect(f"file:{site.store}?mode=ro", uri=True)) as cx:
        return int(cx.execute("SELECT count(*) FROM rerated").fetchone()[0])
