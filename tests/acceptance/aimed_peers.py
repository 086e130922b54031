"""What lives beside a daemon that is killed at chosen moments: Kamailio's table, two NASes and a mail server, by hand.
Each tells of every moment, before it does anything and after it has answered."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Final

from aiohttp import web

from tests.acceptance.aimed_kill import Deed, Moments, Scene
from tests.acceptance.aimed_nas import AimedNas
from tests.acceptance.control_site import Around, FakeSwitch, fault
from tests.small_site import line

REST_S: Final = 0.005
_RECIPIENT: Final = re.compile(rb"c(\d+)@")


def now_us() -> int:
    """As the daemon's orders say when: µs UTC."""
    return time.time_ns() // 1000


class AimedSwitch(FakeSwitch):
    """Kamailio, with calls that take one look to end."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self._scene = scene
        self.calls: dict[str, int] = {}
        """Of a line that is calling, the looks that still see its call; it has no end by itself."""
        self.changed: list[tuple[int, str, bool]] = []
        """When which number was barred, or not any more."""
        self._under_way = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self._under_way += 1
        try:
            return await self._answer(request)
        finally:
            self._under_way -= 1

    async def rest(self) -> None:
        """Until all that it was asked is done: nothing more will be, when the daemon was killed."""
        await asyncio.sleep(REST_S)
        while self._under_way:
            await asyncio.sleep(REST_S)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        message = await request.json()
        method, parameters = message["method"], message["params"]
        moments, number = self._scene.moments, self._line_of(method, parameters)
        name = moments.asked(method, number)
        deed = await moments.arrives(name, number)
        said = fault(500, "not now") if deed is Deed.REFUSED else {}
        if deed in (Deed.DONE, Deed.UNSAID):
            said = self.carry_out(method, parameters)
            if method in ("htable.sets", "htable.delete"):
                self.changed.append((now_us(), number, method == "htable.sets"))
        response = self.response(message, said)
        if deed in (Deed.LOST, Deed.UNSAID):
            if request.transport is not None:
                request.transport.close()
            return response
        with contextlib.suppress(ConnectionError):  # the daemon was killed meanwhile
            await response.prepare(request)
            await response.write_eof()
        if name is not None:
            moments.reached(f"{name} answered", later=True)
        return response

    def was_barred(self, number: str, at: int) -> bool:
        """Whether a number was barred at an instant."""
        states = [is_barred for changed_at, key, is_barred in self.changed if key == number and changed_at <= at]
        return bool(states) and states[-1]

    def dlg_list_match(self, *parameters: Any) -> dict[str, Any]:
        number = self._line_of("dlg.list_match", parameters)
        if number not in self.calls:
            return fault(404, "Not found")
        if self.calls[number] == 0:
            del self.calls[number]
        elif self.calls[number] > 0:
            self.calls[number] -= 1
        entry = int(number.removeprefix("+"))
        call = {"h_entry": entry, "h_id": 1, "call-id": number, "state": 4, "caller": {"cseq": "1"}}
        return {"result": [call]}

    def dlg_end_dlg(self, entry: int, _: int) -> dict[str, Any]:
        """It ends after one more look."""
        if f"+{entry}" not in self.calls:
            return fault(404, "Not found")
        self.calls[f"+{entry}"] = 0
        return {"result": "Ok."}

    @staticmethod
    def _line_of(method: str, parameters: Any) -> str:
        if method == "dlg.end_dlg":
            return f"+{parameters[0]}"
        if method == "dlg.list_match":
            return str(parameters[2]).removeprefix("sip:").removesuffix("@")
        return str(parameters[1])


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that the server keeps."""

    recipient: str
    message: EmailMessage

    @property
    def id(self) -> str:
        """Its Message-ID."""
        return str(self.message["Message-ID"])


class AimedMailServer:
    """SMTP byte by byte."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.port = 0
        self.taken: list[Mail] = []
        self._sessions: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """It takes mail, at `port`."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for session in list(self._sessions):
                session.cancel()
            await asyncio.gather(*self._sessions, return_exceptions=True)
            await server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        assert session is not None
        self._sessions.add(session)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the daemon was killed, or the test is over
        finally:
            self._sessions.discard(session)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient: str | None = None
        await self._step(writer, "connect", None, b"220 mail.test")
        while True:
            command = (await reader.readuntil(b"\n")).strip()
            verb = command[:4].decode().upper()
            if verb == "RCPT":
                recipient = _recipient_of(command)
            to = recipient if verb in ("RCPT", "DATA") else None
            if not await self._step(writer, verb, to, b"354 go on" if verb == "DATA" else b"250 ok"):
                return
            if verb == "DATA" and not await self._take(reader, writer, recipient or ""):
                return
            if verb == "QUIT":
                return

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipient: str) -> bool:
        moments = self._scene.moments
        text = await reader.readuntil(b"\n")
        name = moments.asked("SMTP text begun", _line_of(recipient))
        if moments.arrived(name) is Deed.LOST:
            return False
        while not text.endswith(b"\r\n.\r\n"):
            text += await reader.readuntil(b"\n")

        def keep() -> None:
            message = message_from_bytes(text.removesuffix(b".\r\n"), policy=default)
            assert isinstance(message, EmailMessage)
            self.taken.append(Mail(recipient, message))

        return await self._step(writer, "text", recipient, b"250 queued", keep)

    async def _step(
        self, writer: asyncio.StreamWriter, what: str, recipient: str | None, answer: bytes, do: Any = lambda: None
    ) -> bool:
        """One command and its answer; whether the session goes on."""
        moments = self._scene.moments
        number = None if recipient is None else _line_of(recipient)
        name = moments.asked(f"SMTP {what}", number)
        if await moments.arrives(name, None) is Deed.LOST:
            return False
        do()
        writer.write(answer + b"\r\n")
        await writer.drain()
        if name is not None:
            moments.reached(f"{name} answered", later=True)
        return True


def _recipient_of(command: bytes) -> str:
    return command.partition(b"<")[2].partition(b">")[0].decode()


def _line_of(recipient: str) -> str:
    found = _RECIPIENT.match(recipient.encode())
    return line(int(found[1])) if found else ""


class AimedPeers(Around):
    """All of them; the NASes are opened when the daemon's port is known."""

    def __init__(self, accounting: tuple[str, int]) -> None:
        super().__init__()
        self.accounting = accounting
        self._scene = Scene()
        self.switch = AimedSwitch(self._scene)
        self.mail = AimedMailServer(self._scene)
        self.nas = {name: AimedNas(self._scene, name, accounting) for name in ("nas1", "nas2")}

    async def open(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self.switch.serving())
        await stack.enter_async_context(self.mail.serving())
        for nas in self.nas.values():
            await stack.enter_async_context(nas.serving())

    def play(self, moments: Moments) -> None:
        """A round begins."""
        self._scene.moments = moments

    def call(self, switch: str, number: int) -> None:
        """A line begins a call at a NAS; it is reported when this returns."""
        self.ask(lambda: self.nas[switch].begin(number))

    def hang_up(self, number: int) -> None:
        """The call of a line ends, if it is going on; likewise."""

        async def end() -> None:
            for nas in self.nas.values():
                await nas.end(number)

        self.ask(end)

    def is_barred(self, switch: str, number: int) -> bool:
        """Whether a line is barred at its switch, or was when its call ended: as the switch has it, not as the daemon
        thinks."""
        key = line(number)
        if switch == "kam1":
            return key in self.switch.table and key not in self.switch.calls
        call = self.nas[switch].calls[key]
        return call.was_cut if switch == "nas1" else call.filter == b"barred"

    def changes_of(self, switch: str, number: int) -> list[tuple[int, bool]]:
        """When a line was barred, or not any more."""
        told = self.switch.changed if switch == "kam1" else self.nas[switch].changed
        return [(at, is_barred) for at, key, is_barred in told if key == line(number)]
