"""The accounting feed: NASes report sessions over UDP, and each is answered when what it reported is durable, and not
before (RFC 2866, 4.1): a NAS repeats what was not answered.

Start and Interim-Update are durable in the table of sessions; a Stop besides as a call record that went through the
pipeline. What is malformed, not genuine or from nobody that is known is dropped and counted, without an answer.
"""

import asyncio
import contextlib
import logging
import socket
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

import msgspec

from access import session_rows
from access.radius.codec import (
    ACCOUNTING_REQUEST,
    STATUS_SERVER,
    Malformed,
    Packet,
    accounting_response,
    read_packet,
    request_is_genuine,
    signature_holds,
)
from access.radius.dictionary import Dictionary
from access.sessions import STALE_S, LiveSession, LiveSessions
from mediation.feeds.accounting import Event, read_event
from mediation.feeds.accounting_book import Entered, enter
from mediation.feeds.duplicates import Duplicates, RequestKey
from mediation.pipeline.sender import Clock, Sender
from mediation.pipeline.stopping import Stopping
from rating.cdr import MICROS
from rating.dial_plan import Dialling
from rating.store.batch import Outcome
from rating.store.errors import StoreError
from rating.store.port import Store

log: Final = logging.getLogger(__name__)

MOST_WAITING: Final = 10_000
"""Requests that wait for their answers; what comes beyond it is dropped, and sent again by the NAS."""
AT_ONCE: Final = 500
"""Reports in one store transaction."""
REMEMBER_S: Final = 2 * 86_400
"""How long a session that ended is kept, to know its Stop again."""
RESEND_US: Final = 300 * MICROS
"""A run that begins sends on the records of this last stretch of an earlier one, µs."""
TIDY_S: Final = 60.0
"""Sessions that are stale are looked for so often."""
RECEIVE_BYTES: Final = 4 << 20
MOST_STRANGERS: Final = 1_000
"""Addresses that are logged when they are dropped for the first time."""


@dataclass(frozen=True, slots=True)
class AccountingClient:
    """A NAS, or a network of them, that may report."""

    name: str
    network: IPv4Network | IPv6Network
    secret: bytes
    sender: Sender
    dictionary: Dictionary
    shared: bool = False
    """Whether several NASes report as its source: then a record's id names the NAS too."""
    dialling: Callable[[], Dialling | None] = lambda: None
    """Its source's dial plan of now, if it has one."""


class AccountingStatus(msgspec.Struct):
    """What became of the datagrams, since the start."""

    received: int = 0
    answered: int = 0
    """Repeated answers included."""
    repeated: int = 0
    """Requests that had come before, within half a minute."""
    malformed: int = 0
    unauthentic: int = 0
    """Their authenticator does not fit the client's secret."""
    strangers: int = 0
    """From an address that no client has."""
    unsupported: int = 0
    """Neither accounting nor Status-Server."""
    overloaded: int = 0
    """Dropped because too many were waiting."""
    live: int = 0
    """Sessions that are live now."""

    def notes(self) -> list[str]:
        """What somebody should look at, in words."""
        told = (
            (self.strangers, "packets came from addresses that no client has"),
            (self.unauthentic, "packets were not genuine: compare the clients' secrets"),
            (self.malformed, "packets were malformed"),
            (self.overloaded, "packets were dropped because too many waited"),
        )
        return [f"{count} {words}" for count, words in told if count]


@dataclass(frozen=True, slots=True)
class _Report:
    event: Event
    client: AccountingClient
    packet: Packet
    key: RequestKey
    address: tuple[str, int]


class AccountingFeed:
    """One listener for accounting."""

    def __init__(
        self,
        name: str,
        clients: Sequence[AccountingClient],
        store: Store,
        sessions: LiveSessions,
        clock: Clock,
        *,
        stale_s: int = STALE_S,
        most_waiting: int = MOST_WAITING,
        began: Callable[[LiveSession], None] = lambda _: None,
    ) -> None:
        """`sessions` is kept up to date; a session of which nothing was heard for `stale_s` has ended. `began` is told
        of each that was not live before, when it is durable: it may be one of a barred line."""
        self.name = name
        self._clients = sorted(clients, key=lambda client: client.network.prefixlen, reverse=True)
        self._client_of: dict[str, AccountingClient | None] = {}
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._stale_s = stale_s
        self._began = began
        self._most_waiting = most_waiting
        self._duplicates = Duplicates()
        self._queue: deque[_Report] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._transport: asyncio.DatagramTransport | None = None
        self._finishing: set[asyncio.Task[None]] = set()
        self._status = AccountingStatus()
        self._complained: set[str] = set()

    def status(self) -> AccountingStatus:
        """How it stands now."""
        return msgspec.structs.replace(self._status, live=len(self._sessions))

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen; the address. Raises OSError. No address is shared with another process: it would take datagrams."""
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Protocol(self), local_addr=(host, port)
        )
        with contextlib.suppress(OSError):
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        bound = self._transport.get_extra_info("sockname")
        return str(bound[0]), int(bound[1])

    def stop(self) -> None:
        """Take no more; `run` ends when what was taken is answered."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Make reports durable and answer them until `stop`. Raises StoreError; the socket is closed at the end."""
        tidying = asyncio.create_task(self._tidy_on(), name=f"tidying of feed {self.name}")
        try:
            await self._resend()
            while not self._stopping or self._queue:
                while not self._queue and not self._stopping:
                    self._wake.clear()
                    await self._wake.wait()
                if tidying.done():
                    tidying.result()
                await self._take_some()
            await asyncio.gather(*self._finishing)
        except Stopping:
            log.info("the pipeline stops: what is not answered is sent again", extra={"feed": self.name})
            await asyncio.gather(*self._finishing)
        finally:
            for task in (tidying, *self._finishing):
                task.cancel()
            await asyncio.gather(tidying, *self._finishing, return_exceptions=True)
            if self._transport:
                self._transport.close()

    async def _resend(self) -> None:
        """Send on the records that were made last before an earlier run ended: it may not have come to that, and the
        NAS may have given up. Those that were sent are duplicates."""
        senders = {client.sender.source: client.sender for client in self._clients}
        for source, records in (await self._store.read(session_rows.last_records, RESEND_US)).items():
            for at in range(0, len(records) if source in senders else 0, AT_ONCE):
                await (await senders[source].send_patiently(records[at : at + AT_ONCE]))

    async def _take_some(self) -> None:
        """One store transaction of what is waiting, then the answers that need no more; the records go on their way."""
        taken = [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]
        if not taken:
            return
        entered = await self._store.transact(enter, [(report.event, report.client.shared) for report in taken])
        records: defaultdict[str, list[tuple[_Report, bytes]]] = defaultdict(list)
        for report, what in zip(taken, entered, strict=True):
            self._show(what)
            if what.record is None:
                self._answer(report)
            else:
                records[report.client.name].append((report, what.record))
        for some in records.values():
            queued = await some[0][0].client.sender.send_patiently([record for _, record in some])
            answering = self._answer_when(queued, [report for report, _ in some])
            task = asyncio.create_task(answering, name=f"answers of feed {self.name}")
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)

    def _show(self, what: Entered) -> None:
        """What the table holds now, in memory."""
        for key in what.ended:
            self._sessions.end(key)
        if what.live is not None:
            is_new = self._sessions.get(what.live.key) is None
            self._sessions.put(what.live)
            if is_new:
                self._began(what.live)

    async def _answer_when(self, queued: "asyncio.Future[Outcome]", reports: Sequence[_Report]) -> None:
        try:
            await asyncio.shield(queued)
        except (Stopping, StoreError):
            for report in reports:
                self._duplicates.dropped(report.key)
            return
        for report in reports:
            self._answer(report)

    def _answer(self, report: _Report) -> None:
        answer = accounting_response(report.packet, report.client.secret)
        self._duplicates.answered(report.key, answer, self._clock())
        self._send(answer, report.address)

    def _send(self, answer: bytes, address: tuple[str, int]) -> None:
        if self._transport and not self._transport.is_closing():
            self._status.answered += 1
            self._transport.sendto(answer, address)

    async def _tidy_on(self) -> None:
        while True:
            await self.tidy()
            await asyncio.sleep(TIDY_S)

    async def tidy(self) -> None:
        """End the sessions that their switch denies, and those of which nothing was heard for too long; forget those
        that ended long ago."""
        now = self._clock()
        denied = self._sessions.denied()
        for key in await self._store.transact(session_rows.end_denied, denied, now) if denied else ():
            self._sessions.end(key)
        stale_at, forget_at = now - self._stale_s * MICROS, now - REMEMBER_S * MICROS
        ended = await self._store.transact(session_rows.expire, stale_at, forget_at, now)
        for key in ended:
            self._sessions.end(key)
        if ended:
            log.warning(
                "nothing was heard of sessions for long: taken for ended",
                extra={"feed": self.name, "sessions": len(ended), "stale_s": self._stale_s},
            )

    def received(self, data: bytes, address: tuple[str, int]) -> None:
        """Take a datagram, or drop and count it."""
        self._status.received += 1
        client = self._find(address[0])
        if client is None:
            self._status.strangers += 1
            self._complain(address[0], "accounting of an address that no client has: dropped")
            return
        packet = read_packet(data)
        if isinstance(packet, Malformed):
            self._malformed(address[0], packet)
        elif packet.code == ACCOUNTING_REQUEST:
            self._report(packet, client, address)
        elif packet.code == STATUS_SERVER:
            self._status_asked(packet, client, address)
        else:
            self._status.unsupported += 1

    def _report(self, packet: Packet, client: AccountingClient, address: tuple[str, int]) -> None:
        if not request_is_genuine(packet, client.secret) or signature_holds(packet, client.secret) is False:
            self._unauthentic(address[0], client)
            return
        now = self._clock()
        key = (address[0], address[1], packet.code, packet.id, packet.authenticator)
        if self._stopping or self._duplicates.in_flight >= self._most_waiting:
            self._status.overloaded += 1
            return
        known = self._duplicates.begin(key, now)
        if known is not True:
            self._status.repeated += 1
            if known:
                self._send(known, address)
            return
        source = client.sender.source
        event = read_event(
            packet,
            client.dictionary,
            source=source,
            client=client.name,
            peer=address[0],
            arrived_at=now,
            dialling=client.dialling(),
        )
        if isinstance(event, Malformed):
            self._duplicates.dropped(key)
            self._malformed(address[0], event)
            return
        self._queue.append(_Report(event, client, packet, key, address))
        self._wake.set()

    def _status_asked(self, packet: Packet, client: AccountingClient, address: tuple[str, int]) -> None:
        """Status-Server must be signed, and is answered while reports are taken (RFC 5997)."""
        if not signature_holds(packet, client.secret, packet.authenticator):
            self._unauthentic(address[0], client)
        elif not self._stopping and self._duplicates.in_flight < self._most_waiting:
            self._send(accounting_response(packet, client.secret), address)

    def _find(self, host: str) -> AccountingClient | None:
        """Whose address it is: the narrowest network's."""
        if host not in self._client_of:
            if len(self._client_of) >= MOST_STRANGERS:
                self._client_of.clear()
            address = ip_address(host.partition("%")[0])
            if (mapped := getattr(address, "ipv4_mapped", None)) is not None:
                address = mapped
            self._client_of[host] = next((client for client in self._clients if address in client.network), None)
        return self._client_of[host]

    def _malformed(self, host: str, malformed: Malformed) -> None:
        self._status.malformed += 1
        self._complain(host, f"a malformed packet: {malformed.words}")

    def _unauthentic(self, host: str, client: AccountingClient) -> None:
        self._status.unauthentic += 1
        self._complain(host, f"a packet that is not genuine: is the secret of client {client.name} the NAS's?")

    def _complain(self, host: str, words: str) -> None:
        """Once an address: who sends garbage must not fill the log."""
        if host not in self._complained and len(self._complained) < MOST_STRANGERS:
            self._complained.add(host)
            log.warning(words, extra={"feed": self.name, "address": host})


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, feed: AccountingFeed) -> None:
        self._feed = feed

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._feed.received(data, addr[:2])
