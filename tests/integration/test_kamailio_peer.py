"""Calls between SIPp's telephones through a real Kamailio, which posts its CDRs to the daemon's http feed."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon_process import DaemonProcess, Site
from tests.integration.daemon_in_thread import rows_of
from tests.integration.sip_network import BUSY_NUMBER, PlannedCall, SIPNetwork, sip_network
from tests.pop_by_hand import get
from tests.small_site import BOSTON, LONDON, STRANGER, account, line, london_charge

pytestmark = pytest.mark.peers("kamailio", "sipp")

WITHIN_S = 30.0
CALLERS = 8
FEED = """
[feeds.kamailio]
type = "http"
source = "kam1"
listen = "127.0.0.1:0"
path = "/cdr"
format = "kamailio-json"
"""


@pytest.fixture
def site(tmp_path: Path, provisioned_store: Path) -> Site:
    site = Site(tmp_path / "site")
    site.store.write_bytes(provisioned_store.read_bytes())
    site.config.write_text(site.config.read_text() + FEED)
    return site


@contextmanager
def network_of(daemon: DaemonProcess, directory: Path) -> Iterator[SIPNetwork]:
    host, port = daemon.addresses["feeds.kamailio"]
    with sip_network(directory / "sip", f"http://{host}:{port}/cdr") as network:
        yield network


def wait_received(daemon: DaemonProcess, records: int) -> None:
    """Until the daemon has told what became of so many records."""
    deadline = time.monotonic() + WITHIN_S
    while (received := _received(daemon)) < records:
        assert time.monotonic() < deadline, f"{received:g} of {records} records have arrived"
        time.sleep(0.05)


def _received(daemon: DaemonProcess) -> float:
    metrics = get(daemon.addresses["ops"], "/metrics").body.decode().splitlines()
    counts = (line for line in metrics if line.startswith("tollkeeper_records_total{") and 'source="kam1"' in line)
    return sum(float(line.rpartition(" ")[2]) for line in counts)


def instant(seconds: str) -> datetime:
    """Kamailio's seconds since 1970, exactly."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(Decimal(seconds) * 1_000_000))


def charge_of(called: str, duration: Decimal) -> str:
    """By the small site's tariff, for calls of less than a minute."""
    if not duration:
        return "0.0000"
    return london_charge(math.ceil(duration)) if called == LONDON else "0.0600"


def test_200_calls_are_200_transactions_equal_to_kamailios_own_log(site: Site, tmp_path: Path) -> None:
    answered = [PlannedCall(line(n % CALLERS), (LONDON, BOSTON)[n // CALLERS % 2], 200 + n * 11) for n in range(200)]
    busy = [PlannedCall(line(n % CALLERS), BUSY_NUMBER, 0) for n in range(20)]
    strange = [PlannedCall(STRANGER, LONDON, 250) for _ in range(5)]
    calls = [call for at in range(20) for call in (*answered[at * 10 : at * 10 + 10], busy[at], *strange[at : at + 1])]
    assert len(calls) == 225

    with site.serving() as daemon:
        with network_of(daemon, tmp_path) as network:
            seen = network.make(calls, per_s=50)
            wait_received(daemon, len(calls))
            logged = network.kamailio.cdrs()
            assert "PUSH FAILED" not in network.kamailio.text
        rows = {row["id"]: row for row in site.export()}
        suspended = rows_of(site.store, "SELECT reason, record_id FROM suspense")
        code, recounted = site.answer("recount")
        assert daemon.terminate() == 0

    plan = dict(zip(seen, calls, strict=True))  # sipp takes its calls in the order of their lines
    assert logged.keys() == plan.keys()
    unknown = {callid for callid, call in plan.items() if call.calling == STRANGER}
    assert sorted(suspended) == sorted(("unknown-line", callid) for callid in unknown)
    assert rows.keys() == plan.keys() - unknown
    assert len([row for row in rows.values() if row["duration"]]) == 200

    for callid, row in rows.items():
        call, cdr = plan[callid], logged[callid]
        assert (cdr.a, cdr.b) == (call.calling, call.called)
        assert cdr.code == ("486" if call.called == BUSY_NUMBER else "200")
        agrees_with_the_log(row, cdr.start_time, Decimal(cdr.duration), call)
        telephone = seen[callid]
        assert (telephone.answer is None) == (call.called == BUSY_NUMBER)
        assert abs(Decimal(str(row["duration"])) - telephone.duration) <= Decimal("0.050"), (row, telephone)
    assert (code, recounted["differences"], recounted["transactions"]) == (0, 0, 220)


def agrees_with_the_log(row: dict[str, Any], start_time: str, duration: Decimal, call: PlannedCall) -> None:
    """Kamailio begins a call at its answer."""
    assert datetime.fromisoformat(row["answer"]) == datetime.fromisoformat(row["start"]) == instant(start_time)
    assert Decimal(str(row["duration"])) == duration
    assert (row["calling"], row["called"], row["source"]) == (call.calling, call.called, "kam1")
    assert (row["line"], row["account"]) == (call.calling, account(int(call.calling[-4:])))
    assert row["charge"] == charge_of(call.called, duration), row
    assert row["currency"] == "USD"
