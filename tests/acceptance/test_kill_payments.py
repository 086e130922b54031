"""kill -9 at every step of a customer's payment, alone and among others: sent again with its key it is one payment,
what was answered holds, and no payment makes a credit."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import pytest

from tests.acceptance import daemon_process
from tests.acceptance.daemon_process import Site
from tests.acceptance.money_judge import Money
from tests.acceptance.paying_site import Moment, PayingPeers, PayingSite, Scene, Step, aim_of
from tests.acceptance.statement_kill import Aim

SEED: Final = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))

PAYING: Final = "FROM payments WHERE shard = 0 AND account = '{account}' AND idempotency_key"
"""In the second statement of the transaction in which a customer pays."""
RECEIVING: Final = "FROM ledger_entries WHERE shard = 0 AND account = '{account}' AND idempotency_key = 'staff"
BILLING: Final = "wanted JOIN bills b"
FIRING: Final = "INSERT INTO firings"

FROM_OUTSIDE: Final = (
    Moment("half is written"),
    *(Moment("written", ms) for ms in (0, 1, 2, 3, 4, 6, 8, 12, 16, 20)),
    Moment("first byte"),
    *(Moment("answered", ms) for ms in (0, 2, 8)),
)
ALONE: Final = (
    *(Step(Scene.ALONE, (moment,)) for moment in FROM_OUTSIDE),
    *(Step(Scene.ALONE, (Aim(PAYING, after),)) for after in range(32)),
    *(Step(Scene.ALONE, (Aim(PAYING, after), Aim(PAYING, then))) for after, then in ((26, 9), (22, 22), (9, 26))),
    *(Step(Scene.ALONE, (Aim(PAYING, after), Moment("first byte"))) for after in (16, 24, 26)),
)
IN_A_CROWD: Final[tuple[Aim | Moment, ...]] = (
    *FROM_OUTSIDE[1::2],
    *(Aim(PAYING, after) for after in range(1, 30, 4)),
    *(Aim(PAYING, after, nth=2) for after in range(3, 30, 4)),
    *(Aim(RECEIVING, after) for after in range(0, 16, 3)),
)
AMONG_OTHERS: Final = tuple(Step(scene, (kill,)) for scene in (Scene.RIVALS, Scene.PARTS) for kill in IN_A_CROWD)
WITH_A_BAR: Final = (
    *(Step(Scene.LIMIT, (moment,)) for moment in FROM_OUTSIDE[::3]),
    *(Step(Scene.LIMIT, (Aim(FIRING, after),)) for after in range(0, 24, 3)),
    *(Step(Scene.LIMIT, (Aim(PAYING, after),)) for after in range(2, 40, 4)),
    *(Step(Scene.RESTORE, (moment,)) for moment in FROM_OUTSIDE[1::4]),
    *(Step(Scene.RESTORE, (Aim(PAYING, after),)) for after in (*range(25, 60, 2), 34, 50, 54, 58)),
    *(Step(Scene.RESTORE, (Moment(what, ms),)) for what in ("restore arrives", "restore done") for ms in (0, 2)),
    Step(Scene.RESTORE, (Aim(PAYING, 26), Moment("restore arrives"))),
)
WITH_A_BILL: Final = (
    *(Step(Scene.BILL, (moment,)) for moment in FROM_OUTSIDE[1::3]),
    *(Step(Scene.BILL, (Aim(PAYING, after),)) for after in range(2, 30, 5)),
    *(Step(Scene.BILL, (Aim(BILLING, after),)) for after in range(16)),
    Step(Scene.BILL, (Aim(BILLING, 9), Aim(PAYING, 9))),
    Step(Scene.BILL, (Aim("INSERT INTO bills"), Moment("first byte"))),
)
FEW: Final = (
    Step(Scene.RIVALS, (Moment("first byte"),)),
    Step(Scene.PARTS, (Aim("INSERT INTO ledger_postings", nth=3),)),
    Step(Scene.LIMIT, (Aim("INSERT INTO payments"),)),
    Step(Scene.RESTORE, (Moment("restore arrives"),)),
    Step(Scene.BILL, (Aim("INSERT INTO bills"),)),
)
"""For every day."""
STEPS: Final = (*FEW, *ALONE, *AMONG_OTHERS, *WITH_A_BAR, *WITH_A_BILL)

ROUNDS: Final = int(os.environ.get("TOLLKEEPER_KILL_PAYMENT_ROUNDS", str(len(FEW))))
PLAYED: Final = [STEPS[number % len(STEPS)] for number in range(ROUNDS)]
TO_MEET: Final = {"INSERT INTO ledger_entries", "INSERT INTO ledger_postings", "INSERT INTO payments", "COMMIT"}
"""Statements that a daemon must have been killed at, or the test says nothing."""


def ended_months() -> tuple[str, str]:
    """Two whose cycles have ended, one after the other."""
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    second = last.replace(day=1) - timedelta(days=1)
    return (second.replace(day=1) - timedelta(days=1)).strftime("%Y-%m"), second.strftime("%Y-%m")


@pytest.fixture
def paying(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[PayingSite]:
    with PayingPeers() as around:
        program = (sys.executable, "-m", "tests.acceptance.statement_kill", str(aim_of(site)))
        monkeypatch.setattr(daemon_process, "PROGRAM", program)
        started = PayingSite(site, around, PLAYED, ended_months())
        try:
            yield started
        finally:
            started.daemon.close()


def test_wherever_it_is_killed_a_payment_is_made_once_and_an_answer_holds(paying: PayingSite) -> None:
    random = Random(SEED)
    wrong: list[str] = []
    for number, step in enumerate(PLAYED):
        faults = paying.play(number, random)
        print(f"round {number}, {step}: {'; '.join(faults) or 'as it should be'}", flush=True)
        wrong += [f"round {number}, {step}: {fault}" for fault in faults]
    print(f"killed {dict(paying.kills)}, at {dict(paying.hits)}", flush=True)
    assert wrong == []
    assert paying.daemon.terminate() == 0, paying.daemon.text
    # Much later, nothing is different.
    money = Money(paying.site.store)
    assert money.faults() == []
    assert [fault for number in range(ROUNDS) for fault in paying.judge_end(money, number)] == []
    recounted = paying.site.process("recount")
    assert recounted.returncode == 0, recounted.stderr
    if len(STEPS) <= ROUNDS:
        assert TO_MEET - paying.hits.keys() == set()
