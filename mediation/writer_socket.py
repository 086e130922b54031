"""The socket beside the store: where a command hands its writing to the daemon that owns the store.

It speaks HTTP on a Unix socket that only the daemon's own user can open.
"""

import contextlib
import hashlib
import http.client
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from mediation.feeds.problems import as_problems, json_response, problem
from mediation.imported import CSVFile, TariffFile
from mediation.provisions import Provisions
from rating.provisioning import ProvisioningError
from rating.store.errors import StoreError
from rating.store.port import Noted
from rating.tariff import TariffError

_MAX_FILE_BYTES: Final = 1 << 30
_ANSWER_WITHIN_S: Final = 300.0
Handler = Callable[[web.Request], Awaitable[web.Response]]
_MAX_NAME: Final = 80
"""Bytes of a socket's name that fit behind `/proc/self/fd/…/`."""


def socket_path(store: Path) -> Path:
    """Where the socket of a store is."""
    name = store.name + ".sock"
    if len(name.encode()) > _MAX_NAME:
        name = f"tollkeeper-{hashlib.blake2b(store.name.encode(), digest_size=8).hexdigest()}.sock"
    return store.with_name(name)


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """`path` by a name short enough for a socket's address, whose limit is 107 bytes, however deep it lies."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def application(
    provisions: Provisions, clock: Callable[[], int], counters: Callable[[web.Request], Awaitable[web.Response]]
) -> web.Application:
    """What the daemon answers there."""

    async def answer(work: Awaitable[int]) -> web.Response:
        try:
            return json_response({"imported": await work})
        except ProvisioningError as refused:
            return json_response({"errors": [str(error) for error in refused.errors]}, 422)
        except TariffError as refused:
            return json_response({"errors": [str(refused)]}, 422)

    def taker(kind: str, take: Callable[[str, Noted], Awaitable[int]]) -> Handler:
        async def rows(request: web.Request) -> web.Response:
            try:
                file = msgspec.json.decode(await request.read(), type=CSVFile)
            except msgspec.MsgspecError as error:
                return problem(422, f"not a file of {kind}: {error}")
            return await answer(take(file.text, file.noted(kind, clock)))

        return rows

    async def tariff(request: web.Request) -> web.Response:
        try:
            file = msgspec.json.decode(await request.read(), type=TariffFile)
        except msgspec.MsgspecError as error:
            return problem(422, f"not a tariff's texts: {error}")
        return await answer(provisions.import_tariff(file.text, lambda tariff: file.noted(tariff, clock)))

    app = web.Application(middlewares=[as_problems], client_max_size=_MAX_FILE_BYTES)
    app.router.add_post("/import/accounts", taker("accounts", provisions.import_accounts))
    app.router.add_post("/import/lines", taker("lines", provisions.import_lines))
    app.router.add_post("/import/favourites", taker("favourites", provisions.import_favourites))
    app.router.add_post("/import/tariff", tariff)
    app.router.add_get("/counters", counters)
    return app


async def listen(runner: web.AppRunner, store: Path) -> None:
    """Open the socket for a runner that is set up. The caller holds the store's lock: an old socket is a dead one."""
    path = socket_path(store)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        with reachable(path) as name:
            await web.UnixSite(runner, name).start()
    finally:
        os.umask(before)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("store", timeout=_ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with reachable(self._path) as name:
            self.sock.connect(name)


def ask_daemon(store: Path, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes] | None:
    """Status and body of the running daemon's answer; None if no daemon runs on this store. Raises StoreError."""
    connection = _Connection(socket_path(store))
    try:
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise StoreError(f"the daemon at {socket_path(store)} did not answer ({error}): look at its log") from error
    finally:
        connection.close()


def is_running(store: Path) -> bool:
    """Whether a daemon runs on this store. Raises StoreError."""
    return ask_daemon(store, "GET", "/") is not None


def decode_json(body: bytes) -> Any:
    """A JSON answer of the daemon."""
    return msgspec.json.decode(body)
