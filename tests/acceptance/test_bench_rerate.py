"""`bench rerate` on a small store: what was charged is charged again, once, while records come in."""

import json

from tests.acceptance.daemon_process import tollkeeper


def test_charges_are_made_again_while_records_come_in() -> None:
    ended = tollkeeper(
        "bench", "rerate", "--transactions", "4000", "--accounts", "300", "--seconds", "5", "--prefixes", "50",
        "--json", within_s=90,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["transactions"] == 4000
    assert 2000 < figures["changed"] <= 4000
    assert figures["records_per_s"] > 0
    assert figures["ingest_per_s"] > 0
