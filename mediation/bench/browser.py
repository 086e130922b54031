"""Asks for pages over one connection, as cheaply as may be: it shares the cores with what it measures."""

import time
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlencode

from mediation.failure import Failure

_SEE_OTHER: Final = 303
_PATIENCE_S: Final = 10.0


class Browser:
    """One keep-alive connection; who asks is in the headers of each request."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = HTTPConnection(host, int(port), timeout=_PATIENCE_S)
        self.sign_ins_s: list[float] = []
        """How long each sign-in took."""

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes, float]:
        """Status, body, and the seconds from the request to the last byte. Raises OSError or HTTPException."""
        began = time.perf_counter()
        try:
            self._connection.request("GET", path, headers=headers)
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException):
            self._connection.close()  # the next request opens it again
            raise
        return answer.status, body, time.perf_counter() - began

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body."""
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def sign_in(self, name: str, password: str) -> dict[str, str]:
        """The headers by which somebody asks from then on. Raises Failure."""
        began = time.perf_counter()
        form = urlencode({"name": name, "password": password})
        self._connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = self._connection.getresponse()
        answer.read()
        cookie = answer.getheader("Set-Cookie", "").partition(";")[0]
        if answer.status != _SEE_OTHER or not cookie:
            raise Failure(f"{name} could not sign in: {answer.status}")
        self.sign_ins_s.append(time.perf_counter() - began)
        return {"Cookie": cookie}

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
