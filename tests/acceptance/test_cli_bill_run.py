"""`tollkeeper bill-run`, with and without a running daemon: every bill once, and what `recount` says of them."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.billing import bill_rows
from control.billing.letterhead import Letterhead
from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site, one_line
from tests.pop_by_hand import PopByHand
from tests.small_site import a_record, account, line, ndjson

THIS = datetime.now(UTC).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
LAST = (THIS - timedelta(days=3)).replace(day=10)
BEFORE = (THIS - timedelta(days=40)).replace(day=10)
PERIOD, EARLIER, NOW = (moment.strftime("%Y-%m") for moment in (LAST, BEFORE, THIS))


def records(moment: datetime, *numbers: int, name: str = "r") -> bytes:
    at = moment.isoformat()
    return ndjson(*(a_record(f"{name}-{n}", calling=line(n), start=at, answer=at) for n in numbers))


@pytest.fixture(params=[False, True], ids=["alone", "while the daemon runs"])
def billable(provisioned: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site whose first three accounts have a call in the last cycle, and the first one in the cycle before too."""
    with provisioned.serving() as daemon:
        with daemon.pop() as pop:
            assert pop.send(records(BEFORE, 0, name="b") + records(LAST, 0, 1, 2)).counts == (4, 0, 0)
        if not request.param:
            assert daemon.terminate() == 0
        yield provisioned
        assert daemon.is_running == request.param
        assert provisioned.answer("recount")[1]["differences"] == 0
        if request.param:
            assert daemon.terminate() == 0
            assert provisioned.answer("recount")[1]["differences"] == 0


def logged(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    """What the daemon says at last with a message."""
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        for entry in map(json.loads, list(daemon.log)):
            if entry["message"] == message:
                found: dict[str, Any] = entry
                return found
        time.sleep(0.05)
    raise AssertionError(f"it does not say {message}:\n{daemon.text}")


def bills(site: Site) -> list[tuple[int, str, str, int]]:
    """Number, account, period and transactions of every bill."""
    with closing(sqlite3.connect(site.store)) as cx:
        return cx.execute("SELECT number, account, period, calls FROM bills ORDER BY number").fetchall()


def test_a_cycle_is_billed_once(billable: Site) -> None:
    code, answer = billable.answer("bill-run", "--period", PERIOD)
    assert (code, answer["bills"], answer["charges"], answer["nothing_to_bill"]) == (0, 3, "2.64", 5)
    made = [(1, account(0), PERIOD, 2), (2, account(1), PERIOD, 1), (3, account(2), PERIOD, 1)]
    assert bills(billable) == made
    code, answer = billable.answer("bill-run", "--period", PERIOD)
    assert (code, answer["bills"], answer["charges"], answer["already_billed"]) == (0, 0, "0.00", 3)
    assert bills(billable) == made
    assert billable.answer("recount")[1]["bills"] == 3


def test_one_account_alone_is_billed(billable: Site) -> None:
    text = billable.done("bill-run", "--period", PERIOD, "--account", account(2)).decode()
    assert text.startswith("1 bill issued, charges 0.66, in ")
    assert bills(billable) == [(1, account(2), PERIOD, 1)]
    ended = billable.command("bill-run", "--period", PERIOD, "--account", "4999")
    assert (ended.returncode, one_line(ended.stderr)) == (
        1,
        "tollkeeper bill-run: there is no account 4999: mind the number",
    )


def test_one_cycle_after_the_other_each_has_its_own_calls(billable: Site) -> None:
    assert billable.answer("bill-run", "--period", EARLIER)[1]["bills"] == 1
    assert billable.answer("bill-run", "--period", PERIOD)[1]["bills"] == 3
    assert bills(billable)[:2] == [(1, account(0), EARLIER, 1), (2, account(0), PERIOD, 1)]


def test_a_cycle_that_has_not_ended_is_not_billed(billable: Site) -> None:
    ended = billable.command("bill-run", "--period", NOW, "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["not_ended"] == 8
    assert one_line(ended.stderr) == (
        f"tollkeeper bill-run: the cycle that begins in {NOW} has not ended for 8 of the accounts:"
        " start the command again when it has"
    )
    assert bills(billable) == []


def test_on_schedule_all_cycles_are_billed_that_have_ended_for_long_enough(billable: Site) -> None:
    assert billable.answer("bill-run", "--ended-for", "999999999")[1]["bills"] == 0
    assert billable.answer("bill-run", "--ended-for", "0")[1]["bills"] == 4
    assert [(number, period) for number, _, period, _ in bills(billable)] == [
        (1, EARLIER),
        (2, PERIOD),
        (3, PERIOD),
        (4, PERIOD),
    ]
    assert billable.answer("bill-run", "--ended-for", "0")[1]["bills"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--period", "2026-13"), "'2026-13' is not a period: write the month in which the cycle begins, as 2026-10"),
        (("--ended-for", "1h"), "'1h' is not a number of seconds"),
        ((), "one of the arguments --period --ended-for is required"),
        (("--period", "2026-10", "--ended-for", "1"), "not allowed with argument"),
    ],
)
def test_wrong_usage_is_refused_in_words(provisioned: Site, options: tuple[str, ...], words: str) -> None:
    ended = provisioned.command("bill-run", *options)
    assert ended.returncode == 2
    assert words in one_line(ended.stderr)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bills SET current_charges_micros = current_charges_micros + 1 WHERE number = 1",
        "UPDATE bills SET total_due_micros = 5 WHERE number = 2",
        "UPDATE bills SET calls = 7 WHERE number = 2",
        "UPDATE bills SET number = 9 WHERE number = 3",
        "DELETE FROM bills WHERE number = 2",
        "UPDATE ledger_postings SET amount_micros = amount_micros + 1 WHERE id = 1",
        "UPDATE ledger_entries SET kind = 'credit' WHERE id = 2",
    ],
)
def test_recount_finds_what_is_wrong_with_bills(provisioned: Site, change: str) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(records(LAST, 0, 1, 2)).counts == (3, 0, 0)
        assert daemon.terminate() == 0
    assert provisioned.answer("bill-run", "--period", PERIOD)[1]["bills"] == 3
    assert provisioned.answer("recount")[0] == 0
    with closing(sqlite3.connect(provisioned.store)) as cx:
        assert cx.execute(change).rowcount == 1
        cx.commit()
    code, answer = provisioned.answer("recount")
    assert (code, answer["differences"] > 0) == (1, True)


def test_recount_compares_with_the_running_daemons_own_balances(provisioned: Site) -> None:
    with provisioned.serving() as daemon:
        with daemon.pop() as pop:
            assert pop.send(records(LAST, 0, 1)).counts == (2, 0, 0)
        assert provisioned.answer("bill-run", "--period", PERIOD)[1]["bills"] == 2
        assert provisioned.answer("recount")[0] == 0
        with closing(sqlite3.connect(provisioned.store)) as cx:
            cx.execute("UPDATE ledger_postings SET amount_micros = 2 * amount_micros WHERE entry = 1")
            cx.commit()
        ended = provisioned.command("recount")
        assert ended.returncode == 1
        assert f"account {account(0)}: balance_micros counted 660000, recounted 1320000" in ended.stderr.decode()


def test_the_daemon_bills_by_itself_what_has_ended(provisioned: Site) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(records(LAST, 0, 1)).counts == (2, 0, 0)
        assert daemon.terminate() == 0
    provisioned.config.write_text(provisioned.config.read_text() + '\n[billing]\nafter = "1s"\n')
    with provisioned.serving() as daemon:
        said = logged(daemon, "bill run")
        assert (said["bills"], said["charges"]) == (2, "1.32")
        assert provisioned.answer("recount")[0] == 0
        assert daemon.terminate() == 0
    assert [period for _, _, period, _ in bills(provisioned)] == [PERIOD, PERIOD]


def test_staff_order_a_bill_run_by_message_and_a_second_order_bills_nothing_twice(provisioned: Site) -> None:
    token = provisioned.done("token", "add", "biller", "--role", "staff").decode().strip()
    for asked, said in (({"account": account(1)}, 1), ({}, 2), ({}, 0)):
        with provisioned.serving() as daemon:
            with daemon.pop() as pop:
                assert pop.send(records(LAST, 0, 1, 2)).status == 200
            with PopByHand(daemon.addresses["feeds.pops"], token) as staff:
                answer = staff.say({"kind": "batch", "period": PERIOD, **asked})
                assert (answer.status, answer.json["state"]) == (202, "accepted")
            done = logged(daemon, "ordered bill run")
            assert (done["run"], done["bills"]) == (answer.json["id"], said)
            assert daemon.terminate() == 0
    assert sorted(name for _, name, _, _ in bills(provisioned)) == [account(0), account(1), account(2)]
    with closing(sqlite3.connect(provisioned.store)) as cx:
        ordered = cx.execute("SELECT actor, subject FROM audit_log WHERE action = 'order a bill run' ORDER BY id")
        assert ordered.fetchall() == [
            ("token:biller", f"run {run}") for run in (f"{PERIOD}-{account(1)}", PERIOD, PERIOD)
        ]
    assert provisioned.answer("recount")[1]["differences"] == 0


def test_a_bill_keeps_the_letterhead_of_the_day_it_was_made(provisioned: Site) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(records(BEFORE, 0, name="b") + records(LAST, 0)).counts == (2, 0, 0)
        assert daemon.terminate() == 0
    plain = provisioned.config.read_text()
    head = '\n[billing]\nscheduled = false\nprovider_name = "Trans & Co"\nletterhead = ["12 Harbour Street"]\n'
    for period, text in ((EARLIER, plain + head), (PERIOD, plain)):
        provisioned.config.write_text(text)
        assert provisioned.answer("bill-run", "--period", period)[1]["bills"] == 1
    with closing(sqlite3.connect(provisioned.store)) as cx:
        heads = [bill_rows.document(cx, number).letterhead for number in (1, 2)]
    assert heads == [Letterhead("Trans & Co", ("12 Harbour Street",)), None]


def test_a_run_of_the_daemons_writes_nothing_without_it(provisioned: Site) -> None:
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(records(LAST, 0)).counts == (1, 0, 0)
        assert daemon.terminate() == 0
    ended = provisioned.command("bill-run", "--ended-for", "0", "--daemon-only")
    assert ended.returncode == 1
    assert "the daemon does not run" in one_line(ended.stderr)
    assert bills(provisioned) == []
