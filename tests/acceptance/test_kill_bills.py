"""kill -9 at every step of bill runs, of the command, of the daemon that writes for it or makes one by itself, or of
both: begun again, they make every bill once, and every call is on one bill."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from random import Random
from threading import Thread
from typing import Final

import pytest

from tests.acceptance import daemon_process
from tests.acceptance.control_site import eventually
from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site, started
from tests.acceptance.money_judge import Money
from tests.acceptance.statement_kill import Aim, clear, hit
from tests.small_site import a_record, account, line, ndjson

SEED: Final = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))
ACCOUNTS: Final = 30
MONTHS: Final = 14
CLOCKS: Final = (("America/New_York", 1), ("America/New_York", 31), ("Asia/Tokyo", 15), ("Europe/London", 29))
"""Of the accounts, in turn: zone and cycle day."""
HEAD: Final = "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day\n"

BEGIN_ISSUING: Final = "wanted JOIN bills b"
"""In the first statement of the transaction that issues some bills; the command itself looks so for who is due."""
ISSUING: Final = 17
"""More statements than it takes to issue two bills."""


@dataclass(frozen=True, slots=True)
class Step:
    """One way in which a round goes."""

    killed: str
    """`daemon`, `command` or `both` while a daemon runs; `alone`: a command without one."""
    aim: Aim | None = None
    """None: some time after some of the bills are there."""
    commands: int = 1

    def __str__(self) -> str:
        return f"{self.killed} killed: {self.aim or 'some bills are there'}, {self.commands} commands"


FEW: Final = (
    Step("daemon", Aim("INSERT INTO bills", nth=3)),
    Step("both", commands=2),
    Step("alone", Aim("INSERT INTO bills", 3, nth=2)),
)
"""For every day."""
FROM_OUTSIDE: Final = tuple(
    Step(killed, commands=number) for number in (1, 2) for killed in ("daemon", "command", "both", "alone")
)
IN_THE_DAEMON: Final = tuple(
    Step("daemon", Aim(BEGIN_ISSUING, after, nth=nth), commands)
    for after in range(ISSUING)
    for nth, commands in ((1 + after % 3, 1), (9, 2))
)
IN_THE_COMMAND: Final = (
    *(Step("command", Aim("SELECT", after)) for after in range(0, 100, 8)),
    # Alone it looks twice before it issues the first bills: who is due, and what is in the way.
    *(Step("alone", Aim(BEGIN_ISSUING, after, nth=2 + after % 4)) for after in range(ISSUING)),
    *(Step("alone", Aim("PRAGMA journal_mode", after)) for after in range(0, 90, 9)),
)
STEPS: Final = (*FEW, *FROM_OUTSIDE, *IN_THE_DAEMON, *IN_THE_COMMAND)

ROUNDS: Final = int(os.environ.get("TOLLKEEPER_KILL_BILL_ROUNDS", str(len(FEW))))
RAN: Final = '"message": "bill run"'
"""In the daemon's log, after a run of its own."""
TO_MEET: Final = ("INSERT INTO ledger_entries", "INSERT INTO ledger_postings", "INSERT INTO bills", "INSERT INTO audit",
                  "COMMIT", "BEGIN")  # fmt: skip
"""Statements that a daemon and a command must have been killed at, or the test says nothing."""


def months() -> list[str]:
    """Some months whose cycles have ended everywhere, the oldest first."""
    moment, found = datetime.now(UTC).replace(day=1) - timedelta(days=1), list[str]()
    for _ in range(MONTHS):
        moment = moment.replace(day=1) - timedelta(days=1)
        found.append(moment.strftime("%Y-%m"))
    return found[::-1]


def call(id_: str, number: int, period: str, day: int = 20) -> dict[str, object]:
    at = f"{period}-{day}T12:00:00Z"
    return a_record(id_, calling=line(number), start=at, answer=at)


def issued(store: Path) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as cx:
        (number,) = cx.execute("SELECT count(*) FROM bills").fetchone()
    return int(number)


class BilledSite:
    """A site whose months are billed one after the other, in the middle of which something is killed."""

    def __init__(self, site: Site, fresh: Path) -> None:
        """`fresh` is a store with the calls of all months."""
        self.site, self.aims = site, {name: site.directory / f"{name}.aim" for name in ("daemon", "command")}
        self.daemon: DaemonProcess | None = None
        self.hits: dict[str, Counter[str]] = {who: Counter() for who in ("daemon", "command", "alone")}
        """Who was killed how often at which statement."""
        self._fresh = fresh
        self._late = 0
        self.acknowledged: set[str] = set()

    def begin(self) -> None:
        """Nothing is billed."""
        self.stop()
        for old in self.site.directory.glob("tollkeeper.db*"):
            old.unlink()
        shutil.copy(self._fresh, self.site.store)
        self.acknowledged = {str(one["id"]) for one in calls()}

    def serve(self) -> DaemonProcess:
        """The daemon, which may run already."""
        if self.daemon is None or not self.daemon.is_running:
            self.close()
            self.daemon = DaemonProcess(self.site.config).wait_ready()
        return self.daemon

    def stop(self) -> None:
        """There is no daemon any more."""
        if self.daemon is not None and self.daemon.is_running:
            assert self.daemon.terminate() == 0, self.daemon.text
        self.close()

    def close(self) -> None:
        if self.daemon is not None:
            self.daemon.close()
        self.daemon = None

    @contextmanager
    def bill_run(self, period: str) -> "Iterator[subprocess.Popen[bytes]]":
        """The command, with a store transaction for every second bill."""
        program = (sys.executable, "-m", "tests.acceptance.statement_kill", str(self.aims["command"]))
        command = (*program, "bill-run", "--period", period, "--config", str(self.site.config))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def send_late(self, number: int, period: str) -> None:
        """A call of a month that is billed already, or is being billed; again, until it is acknowledged."""
        self._late += 1
        record = call(f"late-{self._late}", number, period, 21)
        deadline = time.monotonic() + WITHIN_S
        while True:
            assert time.monotonic() < deadline, "a record is not taken"
            try:
                daemon = self.daemon
                if daemon is not None and "feeds.pops" in daemon.addresses:
                    with daemon.pop() as pop:
                        assert sum(pop.send(ndjson(record)).counts[:2]) == 1
                    self.acknowledged.add(str(record["id"]))
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.005)

    def play(self, step: Step, period: str, random: Random) -> None:
        """Bill a month, and kill at a step."""
        for aim in self.aims.values():
            clear(aim)
        if step.killed == "alone":
            self.stop()
        else:
            self.serve()
        aimed = "daemon" if step.killed == "daemon" else "command"
        if step.aim is not None:
            step.aim.put(self.aims[aimed])
        wanted = issued(self.site.store) + random.randrange(ACCOUNTS)
        late = Thread(target=self.send_late, args=(random.randrange(ACCOUNTS), period))
        late.start()
        with self.bill_run(period) as process, self._second(step, period):
            while process.poll() is None and (self.daemon is None or self.daemon.is_running):
                if step.aim is None and issued(self.site.store) >= wanted:
                    time.sleep(random.uniform(0.0, 0.06))
                    break
                time.sleep(0.001)
            if step.killed in ("daemon", "both") and self.daemon is not None:
                self.daemon.kill()
            if step.killed != "daemon":
                process.kill()
        for aim in self.aims.values():
            if (statement := hit(aim)) is not None:
                self.hits[step.killed][" ".join(statement.split()[:3])] += 1
            clear(aim)
        self.serve() if step.killed != "alone" else None
        self._mend(step, period, late)

    @contextmanager
    def _second(self, step: Step, period: str) -> Iterator[None]:
        """Another command at the same time, or none."""
        if step.commands == 1:
            yield
            return
        with self.bill_run(period):
            yield

    def _mend(self, step: Step, period: str, late: Thread) -> None:
        """What was killed is begun again."""
        assert self.site.answer("recount")[0] == 0
        assert Money(self.site.store).faults() == []
        code, answer = self.site.answer("bill-run", "--period", period)
        assert (code, answer["bills"] + answer["already_billed"]) == (0, ACCOUNTS), answer
        if step.killed == "alone":
            self.serve()
        late.join(WITHIN_S)
        assert not late.is_alive()

    def judge(self, months_billed: int) -> None:
        """Every account has a bill for every month that was billed."""
        money = Money(self.site.store)
        assert money.faults() == []
        assert Counter(one["account"] for one in money.bills) == {account(n): months_billed for n in range(ACCOUNTS)}
        stored = [one["record_id"] for one in money.transactions.values()]
        assert sorted(stored) == sorted(self.acknowledged)
        assert self.site.answer("recount")[0] == 0


def calls() -> list[dict[str, object]]:
    """One of every account and month."""
    return [call(f"{period}-{n}", n, period) for period in months() for n in range(ACCOUNTS)]


@pytest.fixture
def billed(provisioned: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[BilledSite]:
    provisioned.provision(range(ACCOUNTS))
    rows = "".join(
        f"{account(n)},Customer {n},c{n}@customers.example,USD,{zone},2500.00,standard,,{day}\n"
        for n in range(ACCOUNTS)
        for zone, day in (CLOCKS[n % len(CLOCKS)],)
    )
    provisioned.done("import", "accounts", provisioned.write("accounts.csv", HEAD + rows))
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(*calls())).counts == (ACCOUNTS * MONTHS, 0, 0)
        assert daemon.terminate() == 0
    fresh = provisioned.directory / "fresh.db"
    shutil.copy(provisioned.store, fresh)
    site = BilledSite(provisioned, fresh)
    program = (sys.executable, "-m", "tests.acceptance.statement_kill", str(site.aims["daemon"]))
    monkeypatch.setattr(daemon_process, "PROGRAM", program)
    try:
        yield site
    finally:
        site.close()


def test_whatever_kills_it_every_account_has_one_bill_a_cycle(billed: BilledSite) -> None:
    random, periods = Random(SEED), months()
    for number in range(ROUNDS):
        step = STEPS[number % len(STEPS)]
        nth = number % (MONTHS - 1)
        if nth == 0:
            billed.begin()
        print(f"round {number}, {step}", flush=True)
        billed.play(step, periods[nth], random)
        billed.judge(nth + 1)
        if nth == MONTHS - 2 or number == ROUNDS - 1:
            # What came late and is on no bill yet is on the last one.
            assert billed.site.answer("bill-run", "--period", periods[-1])[0] == 0
            billed.judge(nth + 2)
            ends = [one["cycle_end"] for one in Money(billed.site.store).bills if one["period"] == periods[-1]]
            assert Money(billed.site.store).unbilled(min(ends)) == []
            billed.stop()
            assert billed.site.answer("recount")[0] == 0
    print(f"killed at {billed.hits}", flush=True)
    if len(STEPS) <= ROUNDS:
        for who in ("daemon", "alone"):
            met = billed.hits[who]
            assert [words for words in TO_MEET if not any(one.startswith(words) for one in met)] == []


def test_killed_in_bill_runs_of_its_own_the_daemon_goes_on_with_them_at_the_next_start(billed: BilledSite) -> None:
    site = billed.site
    site.config.write_text(site.config.read_text() + '[billing]\nafter = "1s"\n')
    billed.begin()
    kills = 0
    for after in range(0, ISSUING, max(1, 4 * ISSUING // ROUNDS)):
        Aim(BEGIN_ISSUING, after).put(billed.aims["daemon"])
        with started(site.config) as daemon:
            # After a kill that came behind a commit there may be nothing left to be killed at.
            eventually(lambda daemon=daemon: not daemon.is_running or RAN in daemon.text, daemon, "a kill")  # type: ignore[misc]  # bound at once
        kills += hit(billed.aims["daemon"]) is not None
        clear(billed.aims["daemon"])
        assert Money(site.store).faults() == []
    assert kills
    with site.serving() as daemon:
        eventually(lambda: RAN in daemon.text, daemon, "the bill run")
        assert site.answer("recount")[0] == 0
        assert daemon.terminate() == 0, daemon.text
    money = Money(site.store)
    assert money.faults() == []
    assert {one["account"] for one in money.bills} == {account(n) for n in range(ACCOUNTS)}
    assert money.unbilled(min(one["cycle_end"] for one in money.bills)) == []
    code, answer = site.answer("bill-run", "--period", str(money.bills[0]["period"]))
    assert (code, answer["bills"], answer["already_billed"]) == (0, 0, ACCOUNTS)
