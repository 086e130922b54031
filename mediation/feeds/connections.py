"""A listener's connections, made fit for senders that stop half-way, and for too many of them."""

import asyncio
import ssl
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler, RequestPayloadError

from mediation.feeds.door import Door, Lobby, Refuses
from mediation.feeds.problems import problem

IDLE_S: Final = 75.0
"""A connection may be silent for this long before its first request and between two; slow headers end it too."""
LINGER_S: Final = 2.0
"""How long the rest of a refused body is read and thrown away, so that its sender gets to see the answer."""
MAX_CONNECTIONS: Final = 1000
"""Of one listener; a further one is closed at once."""

_SENDERS_FAULTS: Final = (RequestPayloadError, HttpProcessingError)
"""A body that was cut short, what is no HTTP: they are answered, and are nothing that a log should be filled with."""


class _Connection(RequestHandler):
    """aiohttp's connection, with an answer for a body that was cut short."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._manager is not None and len(self._manager.connections) > MAX_CONNECTIONS:
            self.force_close()

    @property
    def is_idle(self) -> bool:
        """Whether it has answered all that came, and is not about to close."""
        return not (self._is_busy() or self._close or self._force_close)

    def stay_open(self) -> None:
        """A request was answered in front of it just now: its silence begins anew."""
        self._next_keepalive_close_time = self._loop.time() + IDLE_S

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's protocols may keep their side open
        """The sender closed its side. What it asked is answered all the same, on our side, which stays open for that;
        a body that was cut short is said to be (aiohttp would drop the connection without a word). A WebSocket is
        over."""
        if self._upgraded or not self._is_busy():
            return None
        self._end_bodies()
        return True

    def _is_busy(self) -> bool:
        """Whether a request has come that is not answered yet."""
        waiting = self._waiter is not None and not self._waiter.done()
        return bool(self._messages) or (self._request_count > 0 and not waiting)

    def _end_bodies(self, patience: int = 10) -> None:
        """No more will come of the bodies that are not whole."""
        bodies = [body for _, body in self._messages]
        if self._current_request is not None:
            bodies.append(self._current_request.content)
        elif not bodies and self._is_busy() and not self._force_close:
            # The request is on its way to its handler, where it can be got at, a turn or two of the loop from here; or
            # it was refused and answered, and only the rest of its body is still waited for: that will not come.
            if patience:
                self._loop.call_soon(self._end_bodies, patience - 1)
            else:
                self.force_close()
            return
        if not bodies:
            self.force_close()  # all was answered meanwhile; `close` would leave the transport open
            return
        for body in bodies:
            if not body.is_eof():
                body.set_exception(RequestPayloadError("the connection was closed inside the body"))
        self.close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is no request, and what went wrong here, is answered as a problem too."""
        answer = super().handle_error(request, status, exc, message)
        detail = "a fault of the daemon: its log says more" if status >= 500 else str(message or "this is not HTTP")
        said = _Unnamed.of(problem(status, " ".join(detail.split())))
        if not answer.keep_alive:
            said.force_close()
        return said

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Faults of the daemon are logged, those of the senders are not, nor that one went away who was answered."""
        fault = kw.get("exc_info")
        gone = isinstance(fault, ConnectionError) and self._current_request is None
        if not gone and not isinstance(fault, _SENDERS_FAULTS):
            super().log_exception(*args, **kw)


class _Unnamed(web.Response):
    """An answer that does not say which software runs here, for requests that never get to an application."""

    @classmethod
    def of(cls, answer: web.Response) -> "_Unnamed":
        """The same answer."""
        return cls(body=answer.body, status=answer.status, content_type=answer.content_type)

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.pop(hdrs.SERVER, None)


async def _without_name(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.pop(hdrs.SERVER, None)


class _Server(web.Server):
    lobby: Lobby | None = None

    def __call__(self) -> _Connection | Door:  # type: ignore[override]  # a protocol in front of aiohttp's
        connection = _Connection(self, loop=self._loop, **self._kwargs)
        return connection if self.lobby is None else Door(connection, self.lobby)


class Runner(web.AppRunner):
    """Runs an application on such connections; compressed bodies reach it as they were sent, and no answer says which
    software runs here."""

    def __init__(self, app: web.Application, refuses: Refuses | None = None) -> None:
        """`refuses` is asked about each plain request before it is parsed."""
        self._refuses = refuses
        app.on_response_prepare.append(_without_name)
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
            shutdown_timeout=1.0,
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(made.request_handler, request_factory=made.request_factory, **made._kwargs)
        if self._refuses is not None:
            server.lobby = Lobby(self._refuses, LINGER_S, asyncio.get_running_loop().call_later)
        return server


async def listen(runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None) -> tuple[str, int]:
    """Open an address for a runner that is set up; the address it got (port 0 takes a free one). Raises OSError."""
    await web.TCPSite(runner, host, port, ssl_context=tls, backlog=1024).start()
    address = runner.addresses[-1]
    return str(address[0]), int(address[1])
