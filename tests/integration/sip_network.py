"""A telephone network of real programs: Kamailio, with SIPp's telephones on both sides of it.

Each is a child of the test, on free ports of the loopback, and is ended by its process id.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

PEERS = Path(__file__).parent / "peers"
WITHIN_S = 30.0
"""A start, an end, or an answer that takes longer has failed."""

BUSY_NUMBER = "+442079460099"
"""Engaged, whoever calls."""


class PlannedCall(NamedTuple):
    """A call to be made."""

    calling: str
    called: str
    hold_ms: int
    """From the answer to the caller's hanging up."""


class LoggedCDR(NamedTuple):
    """A CDR as Kamailio's own log has it; all of it is text."""

    start_time: str
    """Of an answered call, its answer: seconds since 1970 with three places."""
    end_time: str
    duration: str
    callid: str
    a: str
    b: str
    code: str


@dataclass
class SeenCall:
    """A call as the calling telephone saw it; instants in seconds since 1970."""

    answer: Decimal | None = None
    """When the 200 came."""
    bye: Decimal | None = None
    """When it hung up."""

    @property
    def duration(self) -> Decimal:
        """Seconds; 0 for a call that was not answered."""
        return Decimal(0) if self.answer is None or self.bye is None else self.bye - self.answer


class Kamailio:
    """One that is ready."""

    def __init__(self, sip: int, rpc: int, log: Path) -> None:
        self.sip = sip
        self._rpc = rpc
        self._log = log

    @property
    def text(self) -> str:
        """All that it has logged."""
        return self._log.read_text(errors="replace")

    def cdrs(self) -> dict[str, LoggedCDR]:
        """The CDRs in its log, by Call-ID, as far as they are written; each is there once."""
        lines = re.findall(r"log_write_cdr\(\): (.*)\n", self.text)
        found = [LoggedCDR(**dict(field.split("=", 1) for field in line.split("; "))) for line in lines]
        assert len({cdr.callid for cdr in found}) == len(found)
        return {cdr.callid: cdr for cdr in found}

    def call(self, method: str, *parameters: object) -> Any:
        """The answer to a JSON-RPC request."""
        connection = http.client.HTTPConnection("127.0.0.1", self._rpc, timeout=WITHIN_S)
        try:
            request = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}
            connection.request("POST", "/RPC", json.dumps(request))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


class SIPNetwork:
    """Kamailio between telephones that answer, one that is engaged, and those that `make` makes call."""

    def __init__(self, kamailio: Kamailio, directory: Path) -> None:
        self.kamailio = kamailio
        self._directory = directory
        self._runs = 0

    def make(self, calls: Iterable[PlannedCall], per_s: int) -> dict[str, SeenCall]:
        """Make these calls, one after the other, so many a second. What the telephone saw, by Call-ID, in the order in
        which they began; when it returns all of them are over. Fails if one went wrong."""
        calls = list(calls)
        self._runs += 1
        seen_file, errors = (self._directory / f"{kind}-{self._runs}.log" for kind in ("messages", "errors"))
        planned = self._directory / f"calls-{self._runs}.csv"
        planned.write_text("SEQUENTIAL\n" + "".join(f"{a};{b};{hold_ms}\n" for a, b, hold_ms in calls))
        limit_s = len(calls) // per_s + max(call.hold_ms for call in calls) // 1000 + int(WITHIN_S)
        command = (
            *sipp("calling", free_ports(socket.SOCK_DGRAM, 1)[0]), f"127.0.0.1:{self.kamailio.sip}",
            "-inf", str(planned), "-m", str(len(calls)), "-r", str(per_s), "-timeout", f"{limit_s}s", "-timeout_error",
            "-trace_shortmsg", "-shortmessage_file", str(seen_file), "-trace_err", "-error_file", str(errors),
        )  # fmt: skip
        with child(command, self._directory / f"calling-{self._runs}.log") as process:
            code = process.wait(limit_s + WITHIN_S)
        assert code == 0, (code, errors.read_text() if errors.exists() else "")
        return _seen(seen_file)


@contextmanager
def sip_network(directory: Path, cdr_url: str) -> Iterator[SIPNetwork]:
    """A network that posts its CDRs to `cdr_url`."""
    directory.mkdir()
    sip, answering, busy = free_ports(socket.SOCK_DGRAM, 3)
    (rpc,) = free_ports(socket.SOCK_STREAM, 1)
    config = directory / "kamailio.cfg"
    text = (PEERS / "kamailio.cfg").read_text()
    values = {"SIP": sip, "RPC": rpc, "ANSWERING": answering, "BUSY": busy, "BUSY_NUMBER": BUSY_NUMBER, "CDR": cdr_url}
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    config.write_text(text)
    kamailio = Kamailio(sip, rpc, directory / "kamailio.log")
    command = (
        "kamailio", "-DD", "-E", "-f", str(config), "-P", str(directory / "kamailio.pid"), "-Y", str(directory),
        "-m", "64", "-M", "8",
    )  # fmt: skip
    with ExitStack() as stack:
        for scenario, port in (("answering", answering), ("busy", busy)):
            process = stack.enter_context(child(sipp(scenario, port), directory / f"{scenario}.log"))
            wait_until(lambda port=port: _is_bound(port), process, f"the telephone {scenario}")
        process = stack.enter_context(child(command, directory / "kamailio.log"))
        wait_until(lambda: _answers(kamailio), process, "Kamailio")
        yield SIPNetwork(kamailio, directory)


@contextmanager
def child(command: tuple[str, ...], log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A process whose output goes to a file; it has ended when the block has, and all that it started too."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(WITHIN_S)
        finally:
            with suppress(ProcessLookupError):  # its session is its own: what is left in it is what it started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(WITHIN_S)


def sipp(scenario: str, port: int) -> tuple[str, ...]:
    """The command of a telephone at a port."""
    return "sipp", "-sf", str(PEERS / "sipp" / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port), "-nostdin"


def free_ports(kind: socket.SocketKind, count: int) -> list[int]:
    """Ports of the loopback that nobody has just now, all different."""
    sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_until(holds: Callable[[], bool], process: "subprocess.Popen[bytes]", what: str) -> None:
    """Look again and again; fails when the process has ended, or it takes too long."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert process.poll() is None, f"{what} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{what} is not ready in time"
        time.sleep(0.02)


def _is_bound(port: int) -> bool:
    """Whether somebody has this UDP port."""
    return f":{port:04X} " in Path("/proc/net/udp").read_text()


def _answers(kamailio: Kamailio) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return "result" in kamailio.call("core.uptime")
    return False


def _seen(file: Path) -> dict[str, SeenCall]:
    """Reads SIPp's log of messages: date, time, seconds since 1970, S(ent) or R(eceived), Call-ID, CSeq, first line."""
    calls: dict[str, SeenCall] = {}
    for line in file.read_text().splitlines():
        _, _, at, direction, callid, cseq, first = line.split("\t", 6)
        call = calls.setdefault(callid, SeenCall())
        if direction == "R" and cseq.endswith(" INVITE") and first.startswith("SIP/2.0 200 "):
            call.answer = call.answer or Decimal(at)  # a repeated one is no other answer
        elif direction == "S" and first.startswith("BYE "):
            call.bye = call.bye or Decimal(at)
    return calls
