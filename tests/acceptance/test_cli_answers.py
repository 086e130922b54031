"""The commands that answer from the store: rate, explain, export, recount, account-for."""

import json
import os
import sqlite3
import subprocess
import threading
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.acceptance.daemon_process import PROGRAM, WITHIN_S, Site, one_line, run_here, tollkeeper
from tests.small_site import (
    BOSTON,
    NOWHERE,
    STRANGER,
    a_record,
    account,
    accounts_csv,
    line,
    ndjson,
    some_records,
)

# ------------------------------------------------------------------------------------------------------------- rate


def rated(site: Site, stdin: bytes) -> list[dict[str, Any]]:
    ended = site.rate(site.files.tariff, stdin)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == b""
    return [json.loads(answer) for answer in ended.stdout.splitlines()]


def test_rate_answers_each_line_in_its_order(site: Site) -> None:
    answers = rated(
        site,
        ndjson(
            a_record("first"),
            b"",
            b"no JSON",
            a_record("no-rate", called=NOWHERE),
            b"  \r",
            a_record("stranger", calling=STRANGER, start="2099-01-01T00:00:00Z", answer=None),
            b'{"id": "half"}',
            a_record("bad-number", called="x"),
            a_record("bad-time", start="x"),
            b"\xff",
            a_record("unanswered", called=NOWHERE, duration=0),
            a_record("home", called=BOSTON, duration="61"),
            a_record("last", called=BOSTON, duration=61.5),
        ),
    )
    assert [(answer["id"], answer.get("suspended"), answer.get("charge")) for answer in answers] == [
        ("first", None, "0.6600"),
        (None, "malformed", None),
        ("no-rate", "no-rate", None),
        ("stranger", None, "0.6600"),
        ("half", "malformed", None),
        ("bad-number", "bad-number", None),
        ("bad-time", "bad-time", None),
        (None, "malformed", None),
        ("unanswered", None, "0.0000"),
        ("home", "malformed", None),
        ("last", None, "0.0660"),
    ]


def test_rate_explains_a_charge(site: Site) -> None:
    (answer,) = rated(site, ndjson(a_record("x")))
    assert answer["place_called"] is None
    assert {name: answer[name] for name in ("currency", "destination", "billed_s", "capped")} == {
        "currency": "USD", "destination": "London", "billed_s": 61, "capped": False,
    }  # fmt: skip
    assert Decimal(answer["connect_fee"]) == Decimal("0.05")
    (run,) = answer["explain"]
    assert run["seconds"] == 61
    assert datetime.fromisoformat(run["from"]) == datetime.fromisoformat("2025-11-20T09:07:35-05:00")
    assert run["from"].endswith("-05:00")
    assert Decimal(run["amount"]) == Decimal("0.61")


def test_rate_is_a_filter_in_a_pipe(site: Site) -> None:
    ended = tollkeeper("rate", "--tariff", site.files.tariff, stdin=ndjson(*some_records(2000), b"{"))
    assert ended.returncode == 0
    assert ended.stderr == b""
    answers = ended.stdout.splitlines()
    assert len(answers) == 2001
    assert json.loads(answers[-1]) == {"id": None, "suspended": "malformed"}


def test_rate_answers_each_line_before_the_next_one_is_written(site: Site) -> None:
    """So it can be another program's coprocess."""
    command = (*PROGRAM, "rate", "--tariff", str(site.files.tariff))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, bufsize=0, env=environment) as rating:
        assert rating.stdin is not None
        assert rating.stdout is not None
        watch = threading.Timer(WITHIN_S, rating.kill)
        watch.start()
        try:
            for id_, *parts in (
                ("a", ndjson(a_record("a"))),
                ("b", b'{"id": "b"', b"}\r\n"),
                ("c", b"\n", ndjson(a_record("c"))),
            ):
                for part in parts:
                    rating.stdin.write(part)
                assert json.loads(rating.stdout.readline() or "{}").get("id") == id_
            rating.stdin.close()
            assert rating.stdout.read() == b""
            assert rating.wait() == 0
        finally:
            watch.cancel()


def test_the_commands_that_answer_with_ndjson_take_json_too(site: Site) -> None:
    records = ndjson(*some_records(2))
    plain = site.rate(site.files.tariff, records)
    asked = run_here("rate", "--tariff", site.files.tariff, "--json", stdin=records)
    assert (asked.returncode, asked.stdout) == (0, plain.stdout)
    site.provision()
    assert site.done("export", "transactions", "--json") == site.done("export", "transactions") == b""


def test_rate_of_nothing_is_nothing(site: Site) -> None:
    assert rated(site, b"") == []
    assert rated(site, b"\n\r\n") == []


@pytest.mark.parametrize("lines", [1, 3000])
def test_rate_passes_on_the_last_line_without_its_end(site: Site, lines: int) -> None:
    answers = rated(site, ndjson(*some_records(lines))[:-1])
    assert [answer["id"] for answer in answers] == [f"r-{n}" for n in range(lines)]


# ----------------------------------------------------------------------------------------- a store to read answers of

TIMES = {
    "october": ("2025-10-15T12:00:00Z", "2025-10-15T12:00:05Z"),
    "just before": ("2025-10-31T23:59:50Z", "2025-10-31T23:59:59.999999Z"),
    "over the edge": ("2025-10-31T23:59:50Z", "2025-11-01T00:00:00Z"),
    "november": ("2025-11-15T12:00:00Z", "2025-11-15T12:00:05Z"),
    "queued for long": ("2025-06-01T12:00:00Z", "2025-08-16T12:00:00Z"),
    "just inside": ("2025-11-30T23:59:50Z", "2025-11-30T23:59:59.999999Z"),
    "just after": ("2025-11-30T23:59:50Z", "2025-12-01T00:00:00Z"),
    "december": ("2025-12-15T12:00:00Z", "2025-12-15T12:00:05Z"),
}
"""Start and answer of each record of the first account."""
NOVEMBER = {"over the edge", "november", "just inside"}

FULL = a_record(
    "full", calling=line(1), duration=61.25, place="Soho", cause=16, switch="sw1", trunk_in="a", trunk_out="b",
    session="s", leg="l", username="u", device="d", partial=1, last=True, colour="blue", nested={"a": [1, 2.5]},
)  # fmt: skip


class Answers:
    """A site whose daemon has taken records and has ended, and the day on which it did."""

    def __init__(self, site: Site) -> None:
        self.site = site
        times = [a_record(id_, start=start, answer=answer) for id_, (start, answer) in TIMES.items()]
        self.days = {_today()}
        with site.serving() as daemon:
            with daemon.pop("pop-a") as pop:
                assert pop.send(ndjson(*times, FULL)).counts == (len(TIMES) + 1, 0, 0)
                assert pop.send(ndjson(*times, b"{", a_record("s", calling=STRANGER))).counts == (0, len(times), 2)
                assert pop.send(ndjson({**FULL, "duration": 7}, b"{")).counts == (0, 1, 1)
                assert pop.send(ndjson(*times), "e/1").counts == (0, len(times), 0)
                assert pop.send(b"", "e/1").status == 409
            with daemon.pop("pop-b") as pop:
                assert pop.send(ndjson(a_record("none", calling=line(2), duration=0, called=NOWHERE))).counts == (
                    1,
                    0,
                    0,
                )
            self.days.add(_today())
            assert daemon.terminate() == 0


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    site = Site(tmp_path_factory.mktemp("answers"))
    site.provision()
    return Answers(site)


# ----------------------------------------------------------------------------------------------------------- export


def test_export_has_every_field_of_the_contract(answers: Answers) -> None:
    (row,) = answers.site.export("--account", account(1))
    assert row.pop("transaction") >= 1
    rated_at = datetime.fromisoformat(row.pop("rated_at"))
    assert abs((datetime.now(UTC) - rated_at).total_seconds()) < 3600
    assert {name: row.pop(name) for name in ("start", "answer")} == {
        "start": "2025-11-20T14:07:31.250000Z", "answer": "2025-11-20T14:07:35Z",
    }  # fmt: skip
    expected = {
        "id": "full", "source": "pop-a", "account": account(1), "line": line(1), "provider": "Transcontinental",
        "calling": line(1), "called": "+442079460018", "duration": 61.25, "billed_s": 62, "service": "long-distance",
        "type": "direct", "destination": "London", "place_called": "Soho", "charge": "0.6700", "currency": "USD",
        "tariff": "standard", "reverses": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["extra"] == {"colour": "blue", "nested": {"a": [1, 2.5]}}


def test_export_of_a_call_that_was_not_answered_charges_nothing(answers: Answers) -> None:
    (row,) = answers.site.export("--account", account(2))
    assert (row["charge"], row["billed_s"], row["destination"], row["duration"]) == ("0.0000", 0, None, 0)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        pytest.param((), set(TIMES), id="everything"),
        pytest.param(("--from", "2025-11-01", "--to", "2025-12-01"), NOVEMBER, id="a month"),
        pytest.param(("--from", "2025-11-01T00:00:00Z", "--to", "2025-12-01T00:00:00Z"), NOVEMBER, id="instants"),
        pytest.param(
            ("--from", "2025-10-31T20:00:00-04:00", "--to", "2025-12-01T09:00:00+09:00"), NOVEMBER, id="offsets"
        ),
        pytest.param(("--from", "2025-12-01"), {"just after", "december"}, id="from"),
        pytest.param(("--to", "2025-11-01"), {"queued for long", "october", "just before"}, id="to"),
        pytest.param(("--from", "2025-11-30T23:59:59.999999Z", "--to", "2025-12-01"), {"just inside"}, id="a moment"),
        pytest.param(("--from", "2025-08-16", "--to", "2025-08-17"), {"queued for long"}, id="answered months later"),
        pytest.param(("--from", "2025-12-01", "--to", "2025-12-01"), set(), id="nothing between"),
        pytest.param(("--from", "2025-12-01", "--to", "2025-11-01"), set(), id="turned round"),
        pytest.param(("--from", "2030-01-01"), set(), id="after everything"),
        pytest.param(("--to", "1971-01-01"), set(), id="before everything"),
    ],
)
def test_export_goes_by_the_answer_from_included_and_to_excluded(
    answers: Answers, options: tuple[str, ...], ids: set[str]
) -> None:
    rows = answers.site.export("--account", account(0), *options)
    assert {row["id"] for row in rows} == ids
    assert len(rows) == len(ids)


def test_export_by_account_is_the_accounts_part_of_everything(answers: Answers) -> None:
    everything = answers.site.export()
    assert len(everything) == len(TIMES) + 2
    assert len({row["transaction"] for row in everything}) == len(everything)
    for n in (0, 1, 2):
        key = account(n)
        part = [row for row in everything if row["account"] == key]
        assert sorted(answers.site.export("--account", key), key=_number) == sorted(part, key=_number)
    assert answers.site.export("--account", "nobody") == []


def _number(row: dict[str, Any]) -> int:
    return int(row["transaction"])


def test_export_has_what_was_acknowledged_while_the_daemon_runs(provisioned: Site) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        for n in range(3):
            assert pop.send(ndjson(a_record(f"r-{n}"))).counts == (1, 0, 0)
            assert [row["id"] for row in provisioned.export()] == [f"r-{m}" for m in range(n + 1)]


# ---------------------------------------------------------------------------------------------------------- explain


def test_explain_says_why(answers: Answers) -> None:
    (row,) = answers.site.export("--account", account(1))
    code, answer = answers.site.answer("explain", str(row["transaction"]))
    assert code == 0
    assert answer["transaction"] == row
    explanation = answer["explanation"]
    assert explanation["charge"] == row["charge"]
    total = Decimal(explanation["connect_fee"]) + sum(Decimal(run["amount"]) for run in explanation["explain"])
    assert total == Decimal(row["charge"])
    said = answers.site.done("explain", str(row["transaction"])).decode()
    assert "London" in said or "Soho" in said
    assert row["charge"] in said


def test_explain_of_a_call_that_cost_nothing(answers: Answers) -> None:
    (row,) = answers.site.export("--account", account(2))
    assert answers.site.answer("explain", str(row["transaction"]))[0] == 0
    answers.site.done("explain", str(row["transaction"]))


@pytest.mark.parametrize("number", ["0", "999999", str(2**63 - 1), str(2**63), "9" * 30])
def test_explain_of_an_unknown_transaction_is_exit_1(answers: Answers, number: str) -> None:
    ended = answers.site.command("explain", number)
    assert ended.returncode == 1
    assert number in one_line(ended.stderr)
    assert ended.stdout == b""


# ---------------------------------------------------------------------------------------------------------- recount


def alter(site: Site, sql: str) -> None:
    """Change the store behind the program's back."""
    with closing(sqlite3.connect(site.store)) as cx:
        assert cx.execute(sql).rowcount == 1
        cx.commit()


def test_recount_agrees_with_the_stored_counters_and_an_independent_sum(answers: Answers) -> None:
    rows = answers.site.export()
    code, answer = answers.site.answer("recount")
    assert code == 0
    assert answer["differences"] == 0
    assert answer["transactions"] == len(rows)
    assert answer["accounts"] == len({row["account"] for row in rows})
    assert Decimal(answer["charges"]) == sum(Decimal(row["charge"]) for row in rows)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE transactions_202511 SET charge_micros = charge_micros + 1 WHERE record_id = 'r-1'",
        "UPDATE transactions_202511 SET duration_us = duration_us + 1 WHERE record_id = 'r-1'",
        "UPDATE transactions_202511 SET answer_at = answer_at + 86400000000 * 30 WHERE record_id = 'r-1'",
        "UPDATE transactions_202511 SET account = '4000000005' WHERE record_id = 'r-1'",
        "DELETE FROM transactions_202511 WHERE record_id = 'r-1'",
    ],
)
def test_recount_finds_a_planted_difference(provisioned: Site, change: str) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        pop.send(ndjson(*some_records(5)))
        assert daemon.terminate() == 0
    assert provisioned.answer("recount")[0] == 0
    alter(provisioned, change)
    code, answer = provisioned.answer("recount")
    assert code == 1
    assert answer["differences"] >= 1
    ended = provisioned.command("recount")
    assert ended.returncode == 1
    assert account(0) in (ended.stdout + ended.stderr).decode()


def test_recount_compares_with_the_running_daemons_own_counters(provisioned: Site) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        pop.send(ndjson(*some_records(5)))
        code, answer = provisioned.answer("recount")
        assert (code, answer["transactions"], answer["differences"]) == (0, 5, 0)
        assert Decimal(answer["charges"]) == 5 * Decimal("0.66")
        assert daemon.terminate() == 0
    alter(provisioned, "UPDATE transactions_202511 SET charge_micros = charge_micros + 1 WHERE record_id = 'r-4'")
    with provisioned.serving() as daemon:
        code, answer = provisioned.answer("recount")
        assert code == 1
        assert answer["differences"] >= 1


def test_recount_of_a_daemon_under_load_sees_one_state(provisioned: Site) -> None:
    """Counters and transactions are compared as of one transaction, however many come while it looks."""
    with provisioned.serving() as daemon, daemon.pop() as pop:
        for n in range(4):
            for m in range(10):
                pop.send(ndjson(*some_records(200, f"{n}-{m}")))
            code, answer = provisioned.answer("recount")
            assert (code, answer["differences"]) == (0, 0)
            assert answer["transactions"] == 2000 * (n + 1)


def test_counters_survive_an_account_that_moved_and_a_kill(provisioned: Site) -> None:
    """Ids that refused duplicates have used up are given out again after a start: none may count as covered."""
    with provisioned.serving() as daemon, daemon.pop() as pop:
        pop.send(ndjson(*some_records(5)))
        pop.send(ndjson(*some_records(5)))
        moved = accounts_csv(range(8)).replace("America/New_York", "Asia/Tokyo")
        provisioned.done("import", "accounts", provisioned.write("moved.csv", moved))
        assert daemon.terminate() == 0
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(*some_records(3, "after"))).counts == (3, 0, 0)
        assert provisioned.answer("recount")[1]["differences"] == 0
        daemon.kill()
    with provisioned.serving():
        code, answer = provisioned.answer("recount")
        assert (code, answer["transactions"], answer["differences"]) == (0, 8, 0)


# ------------------------------------------------------------------------------------------------------ account-for


def account_for(answers: Answers) -> tuple[set[int], dict[str, dict[str, int]]]:
    """Exit codes, and sums by source over the days on which records arrived (two, around midnight)."""
    codes, sums = set(), {}
    for day in answers.days:
        code, answer = answers.site.answer("account-for", "--day", day)
        codes.add(code)
        for source, counts in answer["sources"].items():
            mine = sums.setdefault(source, dict.fromkeys(counts, 0))
            for name, number in counts.items():
                mine[name] += number
    return codes, sums


def test_account_for_adds_up_by_source(answers: Answers) -> None:
    codes, sums = account_for(answers)
    assert codes == {0}
    n = len(TIMES)
    assert sums["pop-a"] == {
        "received": 3 * n + 5, "stored": n + 1, "duplicate": 2 * n + 1, "suspended": 3, "discarded": 0,
    }  # fmt: skip
    assert sums["pop-b"] == {"received": 1, "stored": 1, "duplicate": 0, "suspended": 0, "discarded": 0}
    assert "pop-a" in answers.site.done("account-for", "--day", max(answers.days)).decode()


def test_account_for_a_day_on_which_nothing_came_is_zeros(answers: Answers) -> None:
    code, answer = answers.site.answer("account-for", "--day", "2001-01-01")
    assert code == 0
    assert {number for counts in answer["sources"].values() for number in counts.values()} <= {0}


TWICE = (
    "INSERT INTO suspense (id, shard, source, digest, reason, detail, raw, arrived_at, state)"
    " SELECT id + 1, shard, source, x'00', reason, '', raw, arrived_at, state FROM suspense"
)


@pytest.mark.parametrize(
    "change", ["DELETE FROM transactions_202511 WHERE record_id = 'r-1'", "DELETE FROM suspense", TWICE]
)
def test_account_for_finds_what_was_lost_or_doubled(provisioned: Site, change: str) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        day = _today()
        pop.send(ndjson(*some_records(5), b"{"))
        assert daemon.terminate() == 0
    if day != _today():
        pytest.skip("midnight fell into the test")
    assert provisioned.answer("account-for", "--day", day)[0] == 0
    alter(provisioned, change)
    code, answer = provisioned.answer("account-for", "--day", day)
    assert code == 1
    counts = answer["sources"]["pop-a"]
    assert counts["received"] != counts["stored"] + counts["duplicate"] + counts["suspended"] + counts["discarded"]
