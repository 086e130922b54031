"""kill -9 in the middle of bill runs, of the command or of the daemon: begun again, they make every bill once."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from tests.acceptance.daemon_process import WITHIN_S, Site
from tests.small_site import a_record, account, line, ndjson

ROUNDS = int(os.environ.get("TOLLKEEPER_KILL_BILL_ROUNDS", "4"))
SEED = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))
ACCOUNTS = 60
FEW_AT_A_TIME = (
    "import sys; import control.billing.bill_run as r; r.BILLS_AT_A_TIME = 2;"
    " from mediation.cli import main; sys.exit(main(sys.argv[1:]))"
)
MONTHS = 14


def months() -> list[str]:
    """Some ended months, the oldest first."""
    moment, found = datetime.now(UTC).replace(day=1), list[str]()
    for _ in range(MONTHS):
        moment = (moment - timedelta(days=1)).replace(day=1)
        found.append(moment.strftime("%Y-%m"))
    return found[::-1]


def issued(store: Path) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as cx:
        (number,) = cx.execute("SELECT count(*) FROM bills").fetchone()
    return int(number)


@contextmanager
def bill_run(site: Site, period: str) -> "Iterator[subprocess.Popen[bytes]]":
    """The command, with a store transaction for every second bill."""
    command = (sys.executable, "-c", FEW_AT_A_TIME, "bill-run", "--period", period, "--config", str(site.config))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def until_some_are_issued(site: Site, process: "subprocess.Popen[bytes]", bills: int) -> None:
    """Wait until there are so many bills, or the run is over."""
    until = time.monotonic() + WITHIN_S
    while issued(site.store) < bills and process.poll() is None:
        assert time.monotonic() < until, "no bills come"
        time.sleep(0.001)


def test_whatever_kills_it_every_account_has_one_bill_a_cycle(provisioned: Site) -> None:
    random = Random(SEED)
    provisioned.provision(range(ACCOUNTS))
    periods = months()
    calls = [
        a_record(f"{period}-{n}", calling=line(n), start=f"{period}-15T12:00:00Z", answer=f"{period}-15T12:00:00Z")
        for period in periods
        for n in range(ACCOUNTS)
    ]
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(*calls)).counts == (len(calls), 0, 0)
        assert daemon.terminate() == 0
    for number in range(ROUNDS):
        period, before = periods[number % MONTHS], issued(provisioned.store)
        wanted = before + random.randrange(ACCOUNTS)
        if number % 2:
            with bill_run(provisioned, period) as process:
                until_some_are_issued(provisioned, process, wanted)
        else:
            with provisioned.serving() as daemon, bill_run(provisioned, period) as process:
                until_some_are_issued(provisioned, process, wanted)
                (daemon if number % 4 else process).kill()
        assert provisioned.answer("recount")[0] == 0
        code, answer = provisioned.answer("bill-run", "--period", period)
        assert code == 0
        assert issued(provisioned.store) == before + ACCOUNTS
        assert answer["bills"] + answer["already_billed"] == ACCOUNTS
        assert provisioned.answer("recount")[0] == 0
        if number % MONTHS == MONTHS - 1:
            with closing(sqlite3.connect(provisioned.store)) as cx:  # all months are billed: from the beginning again
                cx.executescript("DELETE FROM bills; DELETE FROM ledger_entries; DELETE FROM ledger_postings")
    with closing(sqlite3.connect(provisioned.store)) as cx:
        found = cx.execute("SELECT account, period, calls FROM bills ORDER BY number").fetchall()
    rounds = ROUNDS % MONTHS
    assert len(set(found)) == len(found) == rounds * ACCOUNTS
    assert {one[0] for one in found} == ({account(n) for n in range(ACCOUNTS)} if rounds else set())
    assert {calls for *_, calls in found} <= {1}
