"""`bench overload` on a small store: what is too much is refused, and the store holds what was acknowledged."""

import json

from tests.acceptance.daemon_process import tollkeeper


def test_ten_times_as_much_is_partly_acknowledged_and_otherwise_refused() -> None:
    ended = tollkeeper(
        "bench", "overload", "--records", "3000", "--seconds", "3", "--accounts", "2000", "--prefixes", "50", "--json"
    )
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["failures"] == {}
    assert figures["answered_503"] > 0
    assert figures["stored"] > 3000
    assert figures["kept"] > 0
    assert figures["pages_asked"] > 0
    assert figures["recovered_s"] is not None
    assert 0 < figures["rss_half_mb"] <= figures["rss_peak_mb"]
