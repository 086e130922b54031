"""`bench search` on a small store: every kind of search finds something, quiet and while records come in."""

import json

from tests.acceptance.daemon_process import tollkeeper

SEARCHES = ("customer", "staff_line", "staff_called")


def test_every_search_finds_something_quiet_and_while_records_come_in() -> None:
    ended = tollkeeper(
        "bench", "search", "--rows", "4000", "--seconds", "1", "--records", "3000", "--prefixes", "50", "--json"
    )
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["rows"] == 7000
    assert figures["failures"] == {}
    assert set(figures["details"]) == {*SEARCHES, *(f"quiet_{name}" for name in SEARCHES)}
    for name, details in figures["details"].items():
        assert figures[f"{name}_p95_ms"] == details["p95_ms"] > 0
        assert details["requests"] > 0
    assert figures["ingest_per_s"] > 0
