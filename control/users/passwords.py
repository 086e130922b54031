"""Passwords: what is one, and hashing them with Argon2id away from the event loop, within bounds."""

import asyncio
import base64
import contextlib
import os
import secrets
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import ARGON2_VERSION, Type

from control.users.registration import PasswordRefused

T = TypeVar("T")

SHORTEST: Final = 10
LONGEST: Final = 1000
"""Characters. Length is what counts, not a mixture of kinds (NIST SP 800-63B, 5.1.1.2)."""

OWASP: Final = Parameters(Type.ID, ARGON2_VERSION, 16, 32, time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""OWASP's first choice for Argon2id, 19 MiB and two passes in one lane. RFC 9106's second recommended option takes
64 MiB and four lanes: on a small machine each sign-in would take every core from the calls."""

WORKERS: Final = 2
WAITING: Final = 32
"""Passwords that may wait for a worker: about half a second's work."""
_NICENESS: Final = 10
"""Of the workers: calls go before sign-ins."""


class PasswordsBusy(Exception):
    """Too many passwords are being looked at: come again."""


def check_password(name: str, password: str) -> None:
    """Raise PasswordRefused unless `password` may be that of the user `name`."""
    if len(password) < SHORTEST:
        raise PasswordRefused(f"the password is too short: give at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise PasswordRefused(f"the password is too long: give at most {LONGEST} characters")
    if _folded(password) == _folded(name):
        raise PasswordRefused("the password is the user's name: choose another")


def is_possible(password: str) -> bool:
    """Whether it is worth hashing: no user has a longer one."""
    return len(password) <= LONGEST


class Passwords:
    """Hashes and verifies in threads of its own."""

    def __init__(self, parameters: Parameters = OWASP, *, workers: int = WORKERS, waiting: int = WAITING) -> None:
        self._hasher = PasswordHasher(
            parameters.time_cost, parameters.memory_cost, parameters.parallelism,
            parameters.hash_len, parameters.salt_len, type=parameters.type,
        )  # fmt: skip
        self._nobodys = _nobodys_hash(parameters)
        self._most = workers + waiting
        self._taken = 0
        self._pool = ThreadPoolExecutor(workers, "passwords", initializer=_step_back)

    async def hashed(self, password: str) -> str:
        """The encoded hash of a password, with its parameters. Raises PasswordsBusy."""
        return await self._run(lambda: self._hasher.hash(_prepared(password)))

    async def verify(self, known: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed; None, where there is no user, takes as long and is false.

        Raises PasswordsBusy.
        """

        def verify() -> bool:
            try:
                return self._hasher.verify(known or self._nobodys, _prepared(password))
            except VerifyMismatchError:
                return False

        return await self._run(verify)

    def is_outdated(self, known: str) -> bool:
        """Whether a hash has other parameters than a new one would."""
        return self._hasher.check_needs_rehash(known)

    def close(self) -> None:
        """Let the threads end; what waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._taken >= self._most:
            raise PasswordsBusy
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._taken -= 1


def _prepared(password: str) -> bytes:
    """As NIST SP 800-63B, 5.1.1.2 wants it before hashing: the same on every keyboard."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _nobodys_hash(parameters: Parameters) -> str:
    """A hash that no password has, as costly to verify as a real one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (parameters.salt_len, parameters.hash_len)
    )
    costs = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v={parameters.version}${costs}${salt}${digest}"


def _step_back() -> None:
    """Make the calling thread give way to the others: on Linux, niceness is each thread's own."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
