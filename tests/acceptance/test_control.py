"""The story that the program is for, with a whole daemon: an account crosses its limit, is told and barred, pays, and
is restored; and again while the daemon is killed at random moments."""

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.acceptance.control_site import (
    OVER_LIMIT,
    Peers,
    Staff,
    eventually,
    peers,
    provision,
    send,
    staff_token,
)
from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site, started
from tests.small_site import a_record, account, line

ROUNDS = min(int(os.environ.get("TOLLKEEPER_KILL_ROUNDS", "4")), 50)
SEED = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))


@pytest.fixture
def around() -> Iterator[Peers]:
    with peers() as running:
        yield running


def call(id_: str, number: int, seconds: int = 595) -> dict[str, Any]:
    """A call of today from the n-th account's line to London; by itself 6.00, where the limit is 10.00."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return a_record(id_, calling=line(number), start=now, answer=now, duration=seconds)


def states(staff: Staff, number: int) -> list[tuple[str, str]]:
    return [(order["action"], order["state"]) for order in staff.orders(number)]


def test_over_its_limit_an_account_is_told_and_barred_and_restored_when_it_has_paid(site: Site, around: Peers) -> None:
    provision(site, around, range(2))
    token = staff_token(site)
    with site.serving() as daemon, Staff(daemon, token) as staff:
        staff.prescribe(OVER_LIMIT)
        assert send(daemon, call("a", 0), call("b", 1)).counts == (2, 0, 0)
        assert around.switch.changes == []
        assert send(daemon, call("c", 0)).counts == (1, 0, 0)
        eventually(lambda: states(staff, 0) == [("bar", "confirmed")], daemon, "the bar is confirmed")
        assert around.switch.changes == [("sets", line(0))]
        eventually(lambda: around.mail.taken, daemon, "a mail")
        (taken,) = around.mail.taken
        assert taken.recipient == "c0@customers.example"
        body = taken.message.get_body(("plain",))
        assert body is not None
        assert "above the credit limit" in body.get_content()
        assert "long-distance: b" in body.get_content(), "being barred, or barred"
        (firing,) = staff.items(f"firings?account={account(0)}")
        assert (firing["account"], firing["late"]) == (account(0), False)
        assert staff.items("access-orders")[0]["confirmed_at"] is not None

        for _ in range(2):  # the same key: one payment
            assert staff.pay(0, "5.00", "receipt 1").status == 202
        eventually(lambda: states(staff, 0)[1:] == [("restore", "confirmed")], daemon, "the restore is confirmed")
        assert around.switch.changes == [("sets", line(0)), ("delete", line(0))]
        assert around.switch.table == {}
        assert daemon.terminate() == 0, daemon.text
    assert len(around.mail.taken) == 1, around.subjects
    assert b"Traceback" not in daemon.text.encode()


class Story:
    """Many accounts that cross their limits, and half of which pay; every step is repeated until it was answered."""

    def __init__(self, daemon: DaemonProcess, token: str, numbers: range) -> None:
        self.daemon, self._token, self._numbers = daemon, token, numbers
        self.over, self.paid = set[int](), set[int]()
        self.ended = threading.Event()
        self.failure: BaseException | None = None

    def _until_answered(self, step: Any) -> None:
        deadline = time.monotonic() + 2 * WITHIN_S
        while True:
            try:
                return step(self.daemon)
            except (OSError, HTTPException, KeyError, AssertionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _send(self, number: int) -> None:
        calls = [call(f"{number}-{n}", number) for n in range(2)]  # one start each, however often they are sent

        def step(daemon: DaemonProcess) -> None:
            assert sum(send(daemon, *calls).counts) == 2

        self._until_answered(step)

    def _pay(self, number: int) -> None:
        def step(daemon: DaemonProcess) -> None:
            with Staff(daemon, self._token) as staff:
                answer = staff.pay(number, "5.00", f"receipt {number}")
                assert answer.status == 202, answer

        self._until_answered(step)

    def tell(self) -> None:
        """Runs in a thread of its own."""
        random = Random(SEED)
        try:
            for number in self._numbers:
                time.sleep(random.uniform(0.0, 0.04))
                self._send(number)
                self.over.add(number)
                payer = number - random.randrange(4)
                if payer in self.over and payer % 2 == 0 and payer not in self.paid:
                    self._pay(payer)
                    self.paid.add(payer)
        except BaseException as failure:
            self.failure = failure
        finally:
            self.ended.set()


def test_whatever_kills_it_nobody_is_wrongly_barred_forgotten_or_told_twice(site: Site, around: Peers) -> None:
    numbers = range(max(40, 15 * ROUNDS))
    provision(site, around, numbers)
    token = staff_token(site)
    random = Random(SEED)
    daemon = DaemonProcess(site.config).wait_ready()
    with Staff(daemon, token) as staff:
        staff.prescribe(OVER_LIMIT)
    story = Story(daemon, token, numbers)
    teller = threading.Thread(target=story.tell, name="the story")
    teller.start()
    kills = 0
    try:
        while kills < ROUNDS and not story.ended.is_set():
            time.sleep(random.uniform(0.02, 0.4))
            daemon.kill()
            daemon.close()
            kills += 1
            daemon = story.daemon = DaemonProcess(site.config).wait_ready()
        assert story.ended.wait(WITHIN_S * 4)
    finally:
        teller.join(WITHIN_S * 4)
    if story.failure:
        raise story.failure
    assert story.over == set(numbers)
    due = {line(number) for number in story.over - story.paid}
    with Staff(daemon, token) as staff:
        ends = {"confirmed", "cancelled"}
        eventually(lambda: all(o["state"] in ends for o in staff.orders()), daemon, "every order has ended")
        wrong = [number for number in numbers if (line(number) in around.switch.table) != (line(number) in due)]
        assert not wrong, [
            (number in story.paid, staff.orders(number), around.switch.changes_of(line(number))) for number in wrong
        ]
        firings = Counter(firing["account"] for firing in staff.items("firings"))
    assert firings == dict.fromkeys(map(account, numbers), 1)
    settle_mail(site.store, daemon)
    assert daemon.terminate() == 0, daemon.text
    daemon.close()
    told = Counter(taken.recipient for taken in around.mail.taken)
    assert max(told.values()) == 1, "a mail came twice"
    alerts = alert_states(site.store)
    assert set(alerts.values()) <= {"sent", "unknown"}
    assert len(alerts) == len(numbers)
    for recipient, state in alerts.items():  # what was cut off in the middle is shown, and not sent again
        assert state == "unknown" or told[recipient] == 1
    assert kills > ROUNDS // 2, "it was hardly killed: the test says nothing"


def alert_states(store: Path) -> dict[str, str]:
    """What became of every alert, read without the program's own code."""
    cx = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return dict(cx.execute("SELECT recipient, state FROM alerts"))
    finally:
        cx.close()


def settle_mail(store: Path, daemon: DaemonProcess) -> None:
    """Until the outbox has nothing left that is to be sent."""
    eventually(lambda: not {"waiting", "sending"} & set(alert_states(store).values()), daemon, "the outbox is empty")


def test_a_daemon_that_starts_again_takes_up_what_was_planned_while_the_switch_was_away(
    site: Site, around: Peers, tmp_path: Path
) -> None:
    provision(site, around, range(1))
    text = site.config.read_text()
    site.config.write_text(text.replace(around.switch.url, "http://127.0.0.1:9/RPC"))
    token = staff_token(site)
    with site.serving() as daemon, Staff(daemon, token) as staff:
        staff.prescribe(OVER_LIMIT)
        send(daemon, call("a", 0), call("b", 0))
        eventually(lambda: states(staff, 0) == [("bar", "unknown")], daemon, "nobody answers")
        daemon.kill()
    site.config.write_text(text)
    with started(site.config) as daemon:
        daemon.wait_ready()
        eventually(lambda: line(0) in around.switch.table, daemon, "it is barred")
        assert daemon.terminate() == 0, daemon.text
