"""Daemons that are born quickly: a process that has loaded the program, and the shim, forks one for each run. They do
what a daemon does that was started; only the loading is spared."""

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess


class Nursery:
    """Bears one daemon after the other: the next one when the last has ended. A context manager."""

    def __init__(self, program: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """`program` is `tests.disk.daemon_on_shim` with its settings; `environment`: as for a daemon."""
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = subprocess.Popen(
                (*program, "nursery", str(there.fileno())), pass_fds=(there.fileno(),), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})},
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let it end."""
        self._here.close()
        self._process.wait(WITHIN_S)

    def daemon(self, config: Path, fail: str | None = None) -> DaemonProcess:
        """One; with the shim, on a disk with this fault."""
        return _BornDaemon(config, self._here, fail)


class _BornDaemon(DaemonProcess):
    def __init__(self, config: Path, nursery: socket.socket, fail: str | None) -> None:
        self._nursery, self._fail = nursery, fail
        super().__init__(config)

    def _begin(self, arguments: Sequence[str]) -> "_Born":
        return _Born(self._nursery, arguments, self._fail)


class _Born:
    """As `subprocess.Popen`, of a process that is the nursery's child."""

    def __init__(self, nursery: socket.socket, arguments: Sequence[str], fail: str | None) -> None:
        self._nursery = nursery
        self._code: int | None = None
        read, write = os.pipe()
        socket.send_fds(nursery, [json.dumps([fail, *arguments]).encode()], [write])
        os.close(write)
        self.stderr: IO[str] = os.fdopen(read)
        self.pid = self._told(WITHIN_S)

    def poll(self) -> int | None:
        if self._code is None and select.select([self._nursery], [], [], 0)[0]:
            self.wait(WITHIN_S)
        return self._code

    def wait(self, timeout: float) -> int:
        if self._code is None:
            self._code = self._told(timeout)
        return self._code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _told(self, timeout: float) -> int:
        self._nursery.settimeout(timeout)
        told = self._nursery.recv(100)
        assert told, "the nursery has ended"
        return int(told)
