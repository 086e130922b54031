"""`bench pages` on a small store: every page is asked for while records come in, and answers."""

import json

from mediation.bench.page_list import PAGES
from tests.acceptance.daemon_process import tollkeeper


def test_every_page_answers_while_records_come_in() -> None:
    ended = tollkeeper(
        "bench", "pages", "--records", "3000", "--seconds", "6", "--accounts", "2000", "--prefixes", "50", "--json"
    )
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["rows"] == 3000
    assert figures["failures"] == {}
    assert set(figures["pages"]) == {f"{page.who}: {page.name}" for page in PAGES}
    assert figures["worst_p95_ms"] == max(figures["pages"].values()) > 0
    assert figures["ingest_per_s"] > 0
    assert all(page["bytes"] > 0 for page in figures["details"].values())
