"""What goes over the loopback, as scapy captures it: the bytes of datagrams, with their ports."""

import ctypes
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator
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


_SO_ATTACH_FILTER = 26
_LOAD_HALF, _LOAD_BYTE, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x30, 0x15, 0x06
_ETHERTYPE_AT, _PROTOCOL_AT, _PORTS_AT = 12, 23, (34, 36)
_IPV4, _UDP = 0x800, 17
_WHOLE = 0x40000


def let_in_only(link: socket.socket, ports: Collection[int]) -> None:
    """Have the kernel leave out what is not of these ports (a classic BPF program): what others send over the loopback
    meanwhile would fill the socket's buffer, and crowd out what is waited for."""
    tests = [(at, port) for at in _PORTS_AT for port in sorted(ports)]
    # Jumps count the instructions that are left out; the last two are: accept, drop.
    steps = [(_LOAD_HALF, 0, 0, _ETHERTYPE_AT), (_JUMP_IF_EQUAL, 0, 2 * len(tests) + 3, _IPV4)]
    steps += [(_LOAD_BYTE, 0, 0, _PROTOCOL_AT), (_JUMP_IF_EQUAL, 0, 2 * len(tests) + 1, _UDP)]
    for index, (at, port) in enumerate(tests):
        left = 2 * (len(tests) - index - 1)
        steps += [(_LOAD_HALF, 0, 0, at), (_JUMP_IF_EQUAL, left, 1 if not left else 0, port)]
    steps += [(_RETURN, 0, 0, _WHOLE), (_RETURN, 0, 0, 0)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    link.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(steps), ctypes.addressof(code)))


@contextmanager
def capturing(*ports: int) -> Iterator[Capture]:
    """Capture what goes over the loopback from or to these ports."""
    require_raw_sockets()
    capture, begun = Capture(set(ports)), threading.Event()
    # Not the listening socket, which sees what goes out and comes in on the loopback: each datagram twice.
    link = conf.L2socket(iface=conf.loopback_name)
    let_in_only(link.ins, ports)
    sniffer = AsyncSniffer(opened_socket=link, store=False, prn=capture.take, started_callback=begun.set)
    sniffer.start()
    try:
        assert begun.wait(WITHIN_S)
        yield capture
    finally:
        sniffer.stop()
        link.close()


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
