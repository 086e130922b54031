"""Handing messages to a mail server (SMTP, RFC 5321), one by one over a connection that is kept between them."""

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import msgspec
from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)

TIMEOUT_S: Final = 30
"""For each answer of the mail server."""
LONGEST_WORDS: Final = 200
"""What is kept of a mail server's answer."""


class Tls(Enum):
    """How the way to the mail server is secured, as [mail] tls says it."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class Outcome(Enum):
    """What became of one message."""

    TAKEN = "taken"
    LATER = "later"
    """Not taken now (a 4xx answer)."""
    NEVER = "never"
    """Not taken, and asking again would not help (a 5xx answer)."""
    UNREACHABLE = "unreachable"
    """The mail server does not work with us at all; the message was not spoken of."""
    UNKNOWN = "unknown"
    """Handed over, and no answer came."""
    WITHDRAWN = "withdrawn"
    """The caller had nothing to send after all."""


class Delivery(msgspec.Struct, frozen=True):
    """How it went, and in whose words."""

    outcome: Outcome
    words: str


class Mailer:
    """Speaks to one mail server. Not for several messages at once. Never raises for what a mail server does."""

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        *,
        tls: Tls = Tls.NONE,
        user: str | None = None,
        password: str | None = None,
        tls_context: ssl.SSLContext | None = None,
        timeout_s: int = TIMEOUT_S,
    ) -> None:
        self.sender = sender
        """The address that messages come from."""
        self._host, self._port, self._tls, self._timeout_s = host, port, tls, timeout_s
        self._user, self._password = user, password
        if tls_context is None and tls is not Tls.NONE:
            tls_context = ssl.create_default_context()
        self._tls_context = tls_context
        self._connection: SMTP | None = None

    async def send(self, recipient: str, take: Callable[[], Awaitable[bytes | None]]) -> Delivery:
        """Send a message. `take` is asked for it when the server has agreed to sender and recipient, right before it is
        handed over: until then nothing can have gone out, and None withdraws it."""
        connection = await self._introduced(recipient)
        if isinstance(connection, Delivery):
            return connection
        try:
            message = await take()
        except BaseException:
            self._abandon()
            raise
        if message is None:
            await self._reset(connection)
            return Delivery(Outcome.WITHDRAWN, "")
        try:
            answer = await connection.data(message)
        except SMTPDataError as error:
            await self._reset(connection)
            return Delivery(_refusal(error.code), _answered(error.code, error.message))
        except (SMTPException, OSError) as error:
            self._abandon()
            return Delivery(Outcome.UNKNOWN, f"the mail server did not say whether it took it: {_words(error)}")
        except BaseException:
            self._abandon()
            raise
        return Delivery(Outcome.TAKEN, _answered(answer.code, answer.message))

    async def rest(self) -> None:
        """Nothing more to send for a while: close the connection politely."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(SMTPException, OSError):
            await connection.quit()
        connection.close()

    async def _introduced(self, recipient: str) -> SMTP | Delivery:
        """A connection whose server expects a message for a recipient, or why there is none."""
        while True:
            is_kept = self._connection is not None
            try:
                connection = self._connection or await self._connect()
            except (SMTPException, OSError) as error:
                return self._unreachable(error)
            try:
                await connection.mail(self.sender)
                await connection.rcpt(recipient)
            except SMTPRecipientRefused as error:
                await self._reset(connection)
                return Delivery(_refusal(error.code), _answered(error.code, error.message))
            except (SMTPException, OSError, UnicodeError) as error:
                # Servers end connections that were idle, or have carried enough: a fresh one tells whether it is that.
                self._abandon()
                if not is_kept:
                    return self._unreachable(error)
            except BaseException:
                self._abandon()
                raise
            else:
                return connection

    async def _connect(self) -> SMTP:
        connection = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            timeout=self._timeout_s,
            use_tls=self._tls is Tls.IMPLICIT,
            start_tls=self._tls is Tls.STARTTLS,
            tls_context=self._tls_context,
        )
        try:
            await connection.connect()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    async def _reset(self, connection: SMTP) -> None:
        """Make ready for the next message, or for another connection."""
        try:
            await connection.rset()
        except (SMTPException, OSError):
            self._abandon()

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _unreachable(self, error: Exception) -> Delivery:
        words = f"the mail server at {self._host} port {self._port} does not work: {_words(error)}"
        return Delivery(Outcome.UNREACHABLE, words)


def _answered(code: int, message: str) -> str:
    return f"the mail server answered {code} {_shown(message)}"


def _refusal(code: int) -> Outcome:
    if 500 <= code < 600:
        return Outcome.NEVER
    # What is neither a promise nor a refusal leaves open whether the message was taken.
    return Outcome.LATER if 400 <= code < 500 else Outcome.UNKNOWN


def _words(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {_shown(error.message)}"
    return _shown(str(error)) or type(error).__name__


def _shown(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:LONGEST_WORDS]
