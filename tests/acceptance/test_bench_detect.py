"""`bench detect` on a small store: each line that crosses its limit is barred once at the NAS, and no other."""

import json

from mediation.bench.distribution import PER_MILLE
from tests.acceptance.daemon_process import tollkeeper


def test_every_line_that_crosses_its_limit_is_barred_once_while_records_come_in() -> None:
    ended = tollkeeper(
        "bench", "detect", "--firings", "30", "--seconds", "1", "--records", "3000", "--accounts", "2000",
        "--prefixes", "50", "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["firings"] == sum(figures["histogram"].values()) == 30
    percentiles = [figures[f"{name}_ms"] for name in PER_MILLE]
    assert percentiles == sorted(percentiles)
    assert percentiles[0] > 0
    assert figures["ingest_per_s"] > 0
