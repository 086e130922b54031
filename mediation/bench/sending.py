"""Records posted to a daemon by the load generator, as a process of its own."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediation.bench.site import TOKEN, RunningDaemon, Site
from mediation.failure import Failure


@dataclass(frozen=True, slots=True)
class Load:
    """What is posted, and at which pace."""

    records: int
    seed: int
    now: datetime
    """Calls start within the hour before."""
    batch: int = 500
    in_flight: int = 20
    rate: int | None = None
    """Records a second at most."""


class Sender:
    """A load generator that has everything ready."""

    def __init__(self, process: "subprocess.Popen[str]", load: Load) -> None:
        self._process = process
        self._load = load

    def begin(self) -> None:
        """Let it post."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.close()

    @property
    def is_done(self) -> bool:
        """Whether it has posted everything, or ended otherwise."""
        return self._process.poll() is not None

    def figures(self) -> dict[str, Any]:
        """What it measured, when it is done. Raises Failure unless everything was accepted."""
        assert self._process.stdout is not None
        figures: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        if not figures or figures["errors"] or figures["accepted"] != self._load.records:
            raise Failure(f"not everything was accepted: {figures}")
        return figures


@contextlib.contextmanager
def sending(site: Site, running: RunningDaemon, load: Load) -> Iterator[Sender]:
    """Start the load generator; it is ready, and it is ended with the block."""
    command = [
        sys.executable, "-m", "simulators.load", "--url", running.feed_url, "--token", TOKEN,
        "--records", str(load.records), "--batch", str(load.batch), "--in-flight", str(load.in_flight),
        "--lines-count", str(site.accounts), "--prefixes", str(site.prefixes), "--seed", str(load.seed),
        "--now", load.now.isoformat(), *(("--rate", str(load.rate)) if load.rate else ()),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise Failure("the load generator did not start")
        yield Sender(process, load)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
