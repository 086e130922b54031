"""`bench bill` on a small store: every account with calls has its bill, while records come in."""

import json
from decimal import Decimal

from tests.acceptance.daemon_process import tollkeeper


def test_bills_are_issued_while_records_come_in() -> None:
    ended = tollkeeper(
        "bench", "bill", "--transactions", "4000", "--accounts", "300", "--seconds", "5", "--prefixes", "50", "--json",
        within_s=60,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert (figures["accounts"], figures["transactions"]) == (300, 4000)
    assert 290 <= figures["bills"] <= 300
    assert Decimal(figures["charges"]) > 0
    assert figures["seconds"] > 0
    assert figures["ingest_per_s"] > 0
