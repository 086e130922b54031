"""A real mail server (aiosmtpd) for tests, on the loopback and in the test's own loop: it keeps what it took, and does
as it is told before each answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Taken:
    """A message that the server answered for."""

    sender: str
    recipient: str
    message: EmailMessage


@dataclass
class MailServer:
    """What it took, and what it shall answer: a script by command, each answer once, then 250."""

    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    """By MAIL, RCPT, DATA: an answer that refuses, `agree`, `silence`, `drop` (the end of the connection), or `take and
    drop` (the same after a message was taken)."""
    connections: int = 0
    secured: int = 0
    sessions: list[SMTP] = field(default_factory=list)

    def answer(self, command: str, *answers: str) -> None:
        """The next answers to a command."""
        self.answers.setdefault(command, []).extend(answers)

    @property
    def recipients(self) -> list[str]:
        """To whom it took messages, in order."""
        return [taken.recipient for taken in self.taken]

    async def said(self, server: SMTP, command: str) -> str | None:
        """The next answer of the script; None: as a server that agrees."""
        self.commands.append(command)
        script = self.answers.get(command)
        answer = script.pop(0) if script else "agree"
        if answer == "silence":
            await asyncio.Event().wait()
        if answer == "drop":
            assert server.transport is not None
            server.transport.close()
            return "250 never seen"
        return None if answer == "agree" else answer

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """MAIL FROM."""
        if (said := await self.said(server, "MAIL")) is not None:
            return said
        envelope.mail_from = address
        self.secured += session.ssl is not None
        return "250 sender ok"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT TO."""
        if (said := await self.said(server, "RCPT")) is not None:
            return said
        envelope.rcpt_tos.append(address)
        return "250 recipient ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """The end of a message."""
        said = await self.said(server, "DATA")
        if said is not None and said != "take and drop":
            return said
        message = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(message, EmailMessage)
        assert envelope.mail_from is not None
        self.taken.append(Taken(envelope.mail_from, envelope.rcpt_tos[0], message))
        if said == "take and drop":
            assert server.transport is not None
            server.transport.close()
        return "250 queued as 17"


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, implicit: bool = False, password: str | None = None
) -> AsyncIterator[MailServer]:
    """A server that runs; with `tls` it demands STARTTLS, or TLS from the first byte, with `password` a login."""
    state = MailServer()

    def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and given.password == (password or "").encode()
        return AuthResult(success=right, handled=False)

    def session() -> SMTP:
        state.connections += 1
        starttls = tls if not implicit else None
        smtp = SMTP(
            state,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=login if password else None,
            auth_required=password is not None,
            auth_require_tls=starttls is not None,
        )
        state.sessions.append(smtp)
        return smtp

    listening = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=tls if implicit else None)
    state.port = listening.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        listening.close()
        for smtp in state.sessions:
            if smtp.transport is not None:
                smtp.transport.close()
            handler = smtp._handler_coroutine
            if handler is not None and not handler.done():
                handler.cancel()
                await asyncio.wait({handler})
        await listening.wait_closed()
