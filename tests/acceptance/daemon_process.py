"""The daemon as its own process, and the other commands beside it, on a fresh site in a test's directory.

Every wait is bounded, and only processes that were started here are ended.
"""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mediation.cli import main
from tests.pop_by_hand import Address, PopByHand, get
from tests.small_site import TOKENS, write_config, write_provisioning

WITHIN_S = 30.0
"""A command, a start or an end that takes longer has failed."""

PROGRAM = (sys.executable, "-m", "mediation.cli")


def tollkeeper(
    *arguments: str | Path, stdin: bytes = b"", within_s: float = WITHIN_S
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end."""
    return subprocess.run((*PROGRAM, *map(str, arguments)), input=stdin, capture_output=True, timeout=within_s)


def run_here(*arguments: str | Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command in this process, which is twenty times quicker than a start; what it raises fails the test."""
    streams = [io.TextIOWrapper(io.BytesIO(given), encoding="utf-8") for given in (stdin, b"", b"")]
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, stream)
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    for stream in streams[1:]:
        stream.flush()
    _, out, err = (stream.detach().getvalue() for stream in streams)
    return subprocess.CompletedProcess(arguments, code, out, err)


class DaemonProcess:
    """One `tollkeeper serve`."""

    def __init__(
        self, config: Path, *, program: Iterable[str] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment`: variables besides those that are here."""
        self.log: list[str] = []
        """Lines of stderr, so far."""
        self.addresses: dict[str, Address] = {}
        self.was_ready = False
        self._speaks, self._ready = threading.Event(), threading.Event()
        self._program, self._environment = (*(program or PROGRAM),), {**os.environ, **(environment or {})}
        self._process = self._begin(("serve", "--config", str(config)))
        self._reader = threading.Thread(target=self._read, name="the daemon's stderr", daemon=True)
        self._reader.start()

    def _begin(self, arguments: Sequence[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            (*self._program, *arguments), env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line.rstrip("\n"))
            self._speaks.set()
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and said.get("message") == "ready":
                pairs = ((name, where.rpartition(":")) for name, where in said["listening"].items())
                self.addresses = {name: (host, int(port)) for name, (host, _, port) in pairs}
                self.was_ready = True
                self._ready.set()
        self._ready.set()  # it has ended: nobody needs to wait any longer

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        """Everything on stderr, for the message of a test that fails."""
        return "\n".join(self.log)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self) -> "DaemonProcess":
        """Wait until everything listens; fails if it ended before."""
        assert self._ready.wait(WITHIN_S), f"not ready in time:\n{self.text}"
        assert self.was_ready, f"ended with {self.wait()} and was never ready:\n{self.text}"
        return self

    def wait_first_line(self) -> None:
        """Wait until it has said something."""
        assert self._speaks.wait(WITHIN_S), "it says nothing"

    def wait(self) -> int:
        """Its exit code, when it has ended by itself."""
        code = self._process.wait(WITHIN_S)
        self._reader.join(WITHIN_S)
        return code

    def terminate(self) -> int:
        """SIGTERM, and its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """kill -9: what is not durable is gone."""
        self._process.kill()
        self.wait()

    def close(self) -> None:
        """End it, if it still runs, and let go of its pipes."""
        if self.is_running:
            self._process.kill()
        self.wait()
        assert self._process.stderr
        self._process.stderr.close()

    def pop(self, source: str = "pop-a") -> PopByHand:
        """A client of the feed."""
        return PopByHand(self.addresses["feeds.pops"], TOKENS[source])

    def ask_ops(self, path: str) -> int:
        """Status of a GET on the ops listener."""
        return get(self.addresses["ops"], path).status


class Site:
    """A directory with a configuration and a store, and the commands on it."""

    def __init__(self, directory: Path, *, store: Path | None = None, feed: str = "", in_store: str = "") -> None:
        self.directory = directory
        self.store = store or directory / "tollkeeper.db"
        self.config = write_config(directory, self.store, feed=feed, in_store=in_store)
        self.files = write_provisioning(directory / "provisioning")

    def command(self, *arguments: str | Path) -> "subprocess.CompletedProcess[bytes]":
        """Run a command on this site, in this process; `--config` is added."""
        return run_here(*arguments, "--config", self.config)

    def process(self, *arguments: str | Path, within_s: float = WITHIN_S) -> "subprocess.CompletedProcess[bytes]":
        """Run a command on this site as a process of its own."""
        return tollkeeper(*arguments, "--config", self.config, within_s=within_s)

    def rate(self, tariff: Path, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """Run `tollkeeper rate`, in this process."""
        return run_here("rate", "--tariff", tariff, stdin=stdin)

    def done(self, *arguments: str | Path) -> bytes:
        """The stdout of a command that must succeed."""
        ended = self.command(*arguments)
        assert ended.returncode == 0, (arguments, ended.returncode, ended.stdout, ended.stderr)
        return ended.stdout

    def provision(self, numbers: Iterable[int] = range(8)) -> None:
        """Import the tariff, and accounts with one line each, by the commands for it."""
        self.files = write_provisioning(self.files.tariff.parent, numbers)
        self.done("import", "tariff", self.files.tariff)
        self.done("import", "accounts", self.files.accounts)
        self.done("import", "lines", self.files.lines)

    def write(self, name: str, text: str) -> Path:
        """A file in the site's directory."""
        path = self.directory / name
        path.write_text(text)
        return path

    def export(self, *options: str) -> list[dict[str, Any]]:
        """What `export transactions` says."""
        return [json.loads(line) for line in self.done("export", "transactions", *options).splitlines()]

    def answer(self, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
        """Exit code and last line of a command with --json."""
        ended = self.command(*arguments, "--json")
        return ended.returncode, json.loads(ended.stdout.splitlines()[-1])

    @contextmanager
    def serving(self) -> Iterator[DaemonProcess]:
        """The daemon, ready; it is killed at the end, unless it has ended before."""
        with started(self.config) as daemon:
            yield daemon.wait_ready()


@contextmanager
def started(config: Path) -> Iterator[DaemonProcess]:
    """A daemon that may fail to get ready."""
    daemon = DaemonProcess(config)
    try:
        yield daemon
    finally:
        daemon.close()


def one_line(stderr: bytes) -> str:
    """What a command has to say about its failure: one line, and no traceback."""
    text = stderr.decode()
    assert "Traceback" not in text, text
    lines: Sequence[str] = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]
