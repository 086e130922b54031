"""What goes over the loopback, as scapy captures it: the bytes of datagrams, with their ports."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from scapy.config import conf
from scapy.layers.inet import IP, UDP
from scapy.sendrecv import AsyncSniffer
from scapy.supersocket import L3RawSocket

WITHIN_S = 20.0


class Datagram(NamedTuple):
    """One that was captured."""

    source: tuple[str, int]
    destination: tuple[str, int]
    data: bytes


@dataclass
class Capture:
    """The datagrams from and to some ports, in their order."""

    ports: set[int]
    datagrams: list[Datagram] = field(default_factory=list)

    def between(self, source: int | None = None, destination: int | None = None) -> list[Datagram]:
        """Those from a port, to a port, or both."""
        return [
            each
            for each in list(self.datagrams)
            if source in (None, each.source[1]) and destination in (None, each.destination[1])
        ]

    def wait_for(self, count: int, **ports: int) -> list[Datagram]:
        """So many of them; the capturing is a thread of its own, and may be behind."""
        deadline = time.monotonic() + WITHIN_S
        while len(found := self.between(**ports)) < count:
            assert time.monotonic() < deadline, f"{len(found)} datagrams, not {count}: {found}"
            time.sleep(0.01)
        return found

    def take(self, packet: Any) -> None:
        """Keep one, if it is between these ports."""
        if UDP in packet and {packet[UDP].sport, packet[UDP].dport} & self.ports:
            ends = ((packet[IP].src, packet[UDP].sport), (packet[IP].dst, packet[UDP].dport))
            self.datagrams.append(Datagram(*ends, bytes(packet[UDP].payload)))


def require_raw_sockets() -> None:
    """Skip the test, visibly, where packets may not be captured."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except (AttributeError, PermissionError) as error:
        pytest.skip(f"packets may not be captured here: {error}; run it as root")


@contextmanager
def capturing(*ports: int) -> Iterator[Capture]:
    """Capture what goes over the loopback from or to these ports."""
    require_raw_sockets()
    capture, begun = Capture(set(ports)), threading.Event()
    # Not the listening socket, which sees what goes out and comes in on the loopback: each datagram twice.
    sniffer = AsyncSniffer(
        iface=conf.loopback_name, L2socket=conf.L2socket, store=False, prn=capture.take, started_callback=begun.set
    )
    sniffer.start()
    try:
        assert begun.wait(WITHIN_S)
        yield capture
    finally:
        sniffer.stop()


@contextmanager
def forging() -> Iterator[Callable[[tuple[str, int], tuple[str, int], bytes], None]]:
    """Sends datagrams from addresses that are not one's own."""
    require_raw_sockets()
    raw = L3RawSocket(iface=conf.loopback_name)
    try:
        yield lambda source, destination, data: raw.send(
            IP(src=source[0], dst=destination[0]) / UDP(sport=source[1], dport=destination[1]) / data
        )
    finally:
        raw.close()
