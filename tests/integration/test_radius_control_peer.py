"""Orders at a NAS that we did not write, through the whole daemon: FreeRADIUS is told to end the calls of a line over
its limit, and each way in which that can go ends in its order's state, as the API shows it."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from access.radius import exchange
from access.radius.pacing import Patience
from tests.acceptance.control_site import OVER_LIMIT, Peers, Staff, eventually, peers, provision, staff_token
from tests.acceptance.daemon_process import Site
from tests.integration.daemon_in_thread import running
from tests.integration.radius_site import SECRET
from tests.integration.sip_network import WITHIN_S, PlannedCall, free_ports, sip_network
from tests.integration.test_kamailio_bar_peer import calling
from tests.integration.test_radius_peers import FreeRadius, freeradius, peers_with_radius
from tests.small_site import LONDON, a_record, account, line, ndjson

NUMBER: Final = 142
ACCOUNTING: Final = """
[feeds.radius]
type = "radius-accounting"
listen = "127.0.0.1:{port}"
[feeds.radius.clients.gateways]
source = "kam1"
address = "127.0.0.1"
secret = "s3cret"
"""
CDRS: Final = """
[feeds.kamailio]
type = "http"
source = "kam1"
listen = "127.0.0.1:{port}"
path = "/cdr"
format = "kamailio-json"
"""
NAS: Final = """
[switches.{name}]
driver = "radius"
address = "127.0.0.1:{port}"
secret = "{secret}"
"""
CUT: Final = """#!{python}
import http.client, json, sys
def rpc(method, *parameters):
    connection = http.client.HTTPConnection("127.0.0.1", {rpc}, timeout=5)
    asked = {{"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}}
    connection.request("POST", "/RPC", json.dumps(asked))
    return json.loads(connection.getresponse().read())
found = rpc("dlg.dlg_list", sys.argv[1]).get("result") or sys.exit(7)
for call in found if isinstance(found, list) else [found]:
    if "result" not in rpc("dlg.end_dlg", call["h_entry"], call["h_id"]):
        sys.exit(2)
"""


@pytest.fixture
def around() -> Iterator[Peers]:
    with peers() as running:
        yield running


def lines_at(site: Site, switches: dict[int, str]) -> None:
    """The lines of some accounts, each at a switch."""
    rows = "".join(f"{line(n)},{account(n)},Transcontinental,long-distance,{at}\n" for n, at in switches.items())
    site.done("import", "lines", site.write("lines.csv", "line,account,provider,service,switch\n" + rows))


def states(staff: Staff, number: int) -> list[tuple[str, str]]:
    return [(order["action"], order["state"]) for order in staff.orders(number)]


@pytest.mark.peers("kamailio", "sipp", "freeradius")
def test_over_its_limit_a_lines_call_through_kamailio_is_ended_by_freeradius(
    tmp_path: Path, around: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cdrs,) = free_ports(socket.SOCK_STREAM, 1)
    (accounting,) = free_ports(socket.SOCK_DGRAM, 1)
    monkeypatch.setattr("tests.integration.sip_network.PEERS", peers_with_radius(tmp_path, accounting))
    site = Site(tmp_path / "site")
    with ExitStack() as stack:
        network = stack.enter_context(sip_network(tmp_path / "sip", f"http://127.0.0.1:{cdrs}/cdr"))
        cut = CUT.format(python=sys.executable, rpc=network.kamailio._rpc)
        nas = stack.enter_context(freeradius(tmp_path / "fr", cut))
        more = ACCOUNTING.format(port=accounting) + CDRS.format(port=cdrs)
        more += NAS.format(name="nas1", port=nas.port, secret=SECRET.decode())
        provision(site, around, [NUMBER], limit="0.05", more=more)
        lines_at(site, {NUMBER: "nas1"})
        token = staff_token(site)
        daemon = stack.enter_context(site.serving())
        staff = stack.enter_context(Staff(daemon, token))
        staff.prescribe(OVER_LIMIT)
        with calling(network, tmp_path / "live") as telephone:
            telephone.wait_for("SIP/2.0 200")
            network.make([PlannedCall(line(NUMBER), LONDON, 1_100)], 1)
            telephone.wait_for("BYE ")
            assert telephone.process.wait(WITHIN_S) == 0
        eventually(lambda: states(staff, NUMBER) == [("bar", "confirmed")], daemon, "the bar is confirmed")
        assert "result" not in network.kamailio.call("htable.get", "bar", line(NUMBER)), "Kamailio itself bars nothing"
        eventually(lambda: len(site.export()) == 2, daemon, "the CDR of the call that was ended")
        eventually(lambda: around.mail.taken, daemon, "a mail")
        assert daemon.terminate() == 0, daemon.text
    transactions = site.export()
    assert len({transaction["id"] for transaction in transactions}) == 2, "each call once, though two feeds report it"
    assert {transaction["account"] for transaction in transactions} == {account(NUMBER)}


# --------------------------------------------------------------------------------------- how it can go

ACK, NAK, WRONG_SECRET, SILENCE, LOST_ACK = range(5)
EXPECTED: Final = {ACK: "confirmed", NAK: "failed", WRONG_SECRET: "unknown", SILENCE: "unknown", LOST_ACK: "confirmed"}
WORDS: Final = {
    ACK: "no session is live",
    NAK: "NAK 506 Resources-Unavailable",
    WRONG_SECRET: "did not answer 3 times",
    SILENCE: "did not answer 3 times",
    LOST_ACK: "no session is live",
}
STUCK: Final = "stuck"
SOME_CUT: Final = """#!/bin/sh
case "$1" in *stuck*) exit 2;; esac
rm "{calls}/$1" || exit 7
"""


class Losing:
    """Stands between the daemon and a NAS, and loses the first answer."""

    def __init__(self, nas_port: int) -> None:
        self.asked: list[bytes] = []
        self.answered: list[bytes] = []
        self._nas = ("127.0.0.1", nas_port)
        self._near, self._far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._near.bind(("127.0.0.1", 0))
        self.port: int = self._near.getsockname()[1]
        self._over = threading.Event()
        self._client: Any = None
        self._threads = [threading.Thread(target=pump, daemon=True) for pump in (self._there, self._back)]

    def _there(self) -> None:
        while data := self._near.recvfrom(4096):
            if self._over.is_set():
                return
            self.asked.append(data[0])
            self._client = data[1]
            self._far.sendto(data[0], self._nas)

    def _back(self) -> None:
        self._far.bind(("127.0.0.1", 0))
        while data := self._far.recv(4096):
            if self._over.is_set():
                return
            self.answered.append(data)
            if len(self.answered) > 1:
                self._near.sendto(data, self._client)

    def __enter__(self) -> "Losing":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as waking:
            for each in (self._near, self._far):
                waking.sendto(b"over", ("127.0.0.1", each.getsockname()[1]))
        for thread in self._threads:
            thread.join(WITHIN_S)
            assert not thread.is_alive()
        self._near.close()
        self._far.close()


def report(port: int, status: str, session: str, number: int) -> None:
    """A NAS's report, sent by radclient, which waits for the answer."""
    attributes = (
        f'Acct-Status-Type={status}, Acct-Session-Id="{session}", NAS-Identifier="gw{number}",'
        f' Calling-Station-Id="{line(number)}", Called-Station-Id="{LONDON}", User-Name="u{number}",'
        f" Event-Timestamp={int(datetime.now(UTC).timestamp())}\n"
    )
    command = ("radclient", "-r", "3", "-t", "2", f"127.0.0.1:{port}", "acct", SECRET.decode())
    ended = subprocess.run(command, input=attributes.encode(), capture_output=True, timeout=WITHIN_S)
    assert ended.returncode == 0, ended.stdout


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def nases(directory: Path) -> Iterator[tuple[FreeRadius, Losing, str]]:
    """FreeRADIUS, what loses its answers, and the configuration of a switch for each way that it can go."""
    with (
        freeradius(directory, SOME_CUT) as nas,
        Losing(nas.port) as losing,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as silent,
    ):
        silent.bind(("127.0.0.1", 0))
        ports = {ACK: nas.port, NAK: nas.port, WRONG_SECRET: nas.port, SILENCE: silent.getsockname()[1]}
        secrets = {WRONG_SECRET: "another"}
        yield (
            nas,
            losing,
            "".join(
                NAS.format(name=f"nas{n}", port=ports.get(n, losing.port), secret=secrets.get(n, SECRET.decode()))
                for n in EXPECTED
            ),
        )


@pytest.mark.peers("freeradius", "radclient")
def test_every_way_in_which_an_order_at_a_nas_can_go_ends_in_its_state(
    tmp_path: Path, around: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "Patience", lambda: Patience(first_s=0.3, most_s=0.6, tries=3))
    (accounting,) = free_ports(socket.SOCK_DGRAM, 1)
    site = Site(tmp_path / "site")
    with nases(tmp_path / "fr") as (nas, losing, switches):
        provision(site, around, list(EXPECTED), limit="0.05", more=ACCOUNTING.format(port=accounting) + switches)
        lines_at(site, {n: f"nas{n}" for n in EXPECTED})
        token = staff_token(site)
        sessions = {n: f"{STUCK if n == NAK else 'call'}-{n}" for n in EXPECTED}
        with running(site.config) as daemon, Staff(daemon, token) as staff:  # type: ignore[arg-type]  # it has addresses
            staff.prescribe(OVER_LIMIT)
            for n, session in sessions.items():
                nas.begin(session)
                report(accounting, "Start", session, n)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            with daemon.pop() as pop:
                calls = [a_record(f"c{n}", calling=line(n), start=now, answer=now) for n in EXPECTED]
                assert pop.send(ndjson(*calls)).counts == (len(calls), 0, 0)
            for n in (ACK, LOST_ACK):
                wait_for(lambda n=n: not (nas.calls / sessions[n]).exists())  # type: ignore[misc]  # bound at once
                report(accounting, "Stop", sessions[n], n)
            wait_for(lambda: {n: order["state"] for n in EXPECTED for order in staff.orders(n)} == EXPECTED)
            told = {n: staff.orders(n)[0] for n in EXPECTED}
    left = {call.name for call in nas.calls.iterdir()}
    assert left == {sessions[n] for n in (NAK, WRONG_SECRET, SILENCE)}, "these calls go on"
    for n, order in told.items():
        assert WORDS[n] in order["words"], order
        assert (order["confirmed_at"] is not None) == (EXPECTED[n] == "confirmed")
    assert len(losing.answered) == 2
    assert len(set(losing.asked)) == len(set(losing.answered)) == 1, "asked again, and answered again, alike"
