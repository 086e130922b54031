"""A POP by hand: one HTTP request at a time, and bytes on a socket where it matters which."""

import http.client
import json
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

WITHIN_S = 20.0
"""Nothing is waited for any longer."""

Address = tuple[str, int]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Accepted, duplicate, suspended."""
        assert self.status == 200, (self.status, self.body)
        told = self.json
        return told["accepted"], told["duplicate"], told["suspended"]

    @property
    def is_problem(self) -> bool:
        """An error as the contract wants it (RFC 9457)."""
        return self.headers.get("content-type", "").startswith("application/problem+json") and (
            self.json.get("status") == self.status
        )


class PopByHand:
    """Sends one request after another on one connection, which is opened again when the daemon has closed it."""

    def __init__(self, address: Address, token: str | None) -> None:
        self.address = address
        self.token = token
        self.connection = http.client.HTTPConnection(*address, timeout=WITHIN_S)

    def __enter__(self) -> "PopByHand":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def request(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """A body that is no bytes is sent in chunks."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        chunked = body is not None and not isinstance(body, bytes)
        self.connection.request(method, path, body, {**sent, **headers}, encode_chunked=chunked)
        answer = self.connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def send(
        self, body: bytes | Iterable[bytes], position: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Post a batch."""
        announced = {"Tollkeeper-Batch": position} if position is not None else {}
        return self.request("POST", "/v1/transactions", body, {**announced, **headers})

    def say(self, message: object) -> Answer:
        """Post a message to /v1/messages."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.request("POST", "/v1/messages", body)


def get(address: Address, path: str) -> Answer:
    """One GET on a connection of its own, without a token."""
    with PopByHand(address, None) as client:
        return client.get(path)


def head(token: str, *lines: str, path: str = "/v1/transactions") -> bytes:
    """The head of a POST as bytes."""
    fields = ("Host: test", f"Authorization: Bearer {token}", *lines)
    return "\r\n".join((f"POST {path} HTTP/1.1", *fields, "", "")).encode()


def plug(address: Address) -> socket.socket:
    """A connected socket that waits for nothing too long."""
    return socket.create_connection(address, timeout=WITHIN_S)


def answers_until_close(wire: socket.socket) -> list[Answer]:
    """Every answer that arrives until the daemon closes the connection."""
    data = bytearray()
    while piece := wire.recv(65_536):
        data += piece
    return list(_answers(bytes(data)))


def read_answer(wire: socket.socket) -> Answer:
    """The next answer, if the sender waits for each before it sends on."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(wire)
    length = int(re.search(rb"(?i)content-length: (\d+)", data)[1])  # type: ignore[index]  # it must be there
    while len(data.partition(b"\r\n\r\n")[2]) < length:
        data += _more(wire)
    (answer,) = _answers(data)
    return answer


def _more(wire: socket.socket) -> bytes:
    piece = wire.recv(65_536)
    assert piece, "the daemon closed the connection without the whole answer"
    return piece


def _answers(data: bytes) -> Iterable[Answer]:
    while data:
        lines, _, data = data.partition(b"\r\n\r\n")
        first, *fields = lines.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        length = int(headers.get("content-length", 0))
        yield Answer(int(first.split()[1]), headers, data[:length])
        data = data[length:]
