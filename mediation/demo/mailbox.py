"""Everybody's mailbox: a mail server (SMTP, RFC 5321) on loopback that takes each message and keeps it as a file."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Final

_LONGEST_LINE: Final = 64 << 10
_LONGEST_MESSAGE: Final = 1 << 20
_QUIET_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was taken."""

    recipient: str
    file: Path
    message: EmailMessage = field(repr=False)

    @property
    def subject(self) -> str:
        """What it is about, by its own words."""
        return str(self.message["Subject"])


class Mailbox:
    """What has been delivered. It is for one sender at a time who means well."""

    def __init__(self, directory: Path, told: Callable[[Letter], None] = lambda _: None) -> None:
        """`told` hears of every letter, when its file is there."""
        self._directory, self._told = directory, told
        self.letters: list[Letter] = []
        self._talks: set[asyncio.Task[None]] = set()

    def to(self, recipient: str) -> list[Letter]:
        """The letters of one address, the oldest first."""
        return [letter for letter in self.letters if letter.recipient == recipient]

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Take mail while the context lasts; gives `HOST:PORT`. Raises OSError."""
        self._directory.mkdir(exist_ok=True)
        server = await asyncio.start_server(self._begin, "127.0.0.1", 0, limit=_LONGEST_LINE)
        host, port = server.sockets[0].getsockname()[:2]
        try:
            yield f"{host}:{port}"
        finally:
            server.close()
            for talk in self._talks:
                talk.cancel()
            await asyncio.gather(*self._talks, return_exceptions=True)
            await server.wait_closed()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer), name="a sender of mail")
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        recipients: list[str] = []
        try:
            writer.write(b"220 mailbox ready\r\n")
            while line := await _line(reader):
                verb, _, rest = line.decode(errors="replace").strip().partition(" ")
                match verb.upper():
                    case "EHLO" | "HELO":
                        answer = "250 mailbox"
                    case "MAIL" | "RSET" | "NOOP":
                        recipients = recipients if verb.upper() == "NOOP" else []
                        answer = "250 fine"
                    case "RCPT":
                        recipients.append(_address(rest))
                        answer = "250 fine"
                    case "DATA" if recipients:
                        writer.write(b"354 go on, and end with a dot\r\n")
                        answer = self._keep(recipients, await _message(reader))
                        recipients = []
                    case "DATA":
                        answer = "503 to whom?"
                    case "QUIT":
                        writer.write(b"221 goodbye\r\n")
                        return
                    case _:
                        answer = "502 not known here"
                writer.write(answer.encode() + b"\r\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            pass  # the sender went away, or talks past what we read; it will come again
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _keep(self, recipients: list[str], content: bytes) -> str:
        message = message_from_bytes(content, policy=default)
        for recipient in recipients:
            file = self._directory / f"{len(self.letters) + 1:04d}.eml"
            file.write_bytes(content)
            letter = Letter(recipient, file, message)
            self.letters.append(letter)
            self._told(letter)
        return f"250 kept as {len(self.letters)}"


async def _line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_QUIET_S):
        return await reader.readline()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """What follows DATA, without the dots that were put before others. Raises ValueError for one that is too long."""
    lines: list[bytes] = []
    length = 0
    while (line := await _line(reader)) != b".\r\n":
        length += len(line)
        if not line.endswith(b"\n") or length > _LONGEST_MESSAGE:
            raise ValueError("no message")
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


def _address(rest: str) -> str:
    """The mailbox of `TO:<ann@example.com> …`."""
    return rest.partition("<")[2].partition(">")[0]
