"""The processes in front of the seam: started, asked, kept up with imports, and ended."""

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from mediation.formats.source_formats import SourceFormats
from mediation.pipeline.preparing import Delivery
from mediation.pipeline.seam import Follow, FrontElsewhere
from rating.store.batch import Batch

log: Final = logging.getLogger(__name__)

END_S: Final = 5.0
"""A process whose socket was closed has ended within this; else it is killed."""
_ROOT: Final = Path(__file__).resolve().parent.parent


class Fronts:
    """Prepares deliveries in processes of their own, each in the one that has the least to do."""

    def __init__(self, store: Path, oldest_at: int, formats: SourceFormats) -> None:
        """`store` is the path of the store whose provisions they rate by; starts before `oldest_at` are `too-old`. They
        read numbers by the dial plans of `formats`."""
        self._store, self.oldest_at, self.formats = store, oldest_at, formats
        self._default_tariff: str | None = None
        self._links: list[FrontElsewhere] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(
        self, number: int, default_tariff: str | None, stack: contextlib.AsyncExitStack
    ) -> "list[asyncio.Task[None]]":
        """Start so many. The tasks, none of which may end before the stack does; raises FrontGone for a process that
        cannot read the store."""
        for index in range(number):
            ours, theirs = socket.socketpair()
            with theirs:
                process = _spawn(theirs)
            stack.push_async_callback(asyncio.to_thread, _end, process)
            link = FrontElsewhere(*await asyncio.open_unix_connection(sock=ours))
            stack.callback(link.close)
            self._links.append(link)
            self._tasks.append(asyncio.create_task(link.run(), name=f"front process {index + 1}"))
            stack.callback(self._tasks[-1].cancel)
            log.info("front process started", extra={"pid": process.pid})
        await self.follow(default_tariff)
        return self._tasks

    async def prepare(self, delivery: Delivery) -> Batch:
        """Decode, guide and rate. Raises Stopping when a process has ended: then nothing of it is stored."""
        return await min(self._links, key=lambda link: link.outstanding).prepare(delivery)

    async def follow(self, default_tariff: str | None) -> None:
        """Rate from now on by what is provisioned in the store, and by the dial plans of now. Raises FrontGone."""
        self._default_tariff = default_tariff
        told = Follow(str(self._store), self.oldest_at, default_tariff, self.formats.plans)
        await asyncio.gather(*(link.follow(told) for link in self._links))

    async def keep_from(self, oldest_at: int) -> None:
        """Starts before an instant are `too-old` from now on. Raises FrontGone."""
        if oldest_at != self.oldest_at:
            self.oldest_at = oldest_at
            await self.follow(self._default_tariff)

    async def follow_plans(self) -> None:
        """The dial plans have changed: read numbers by them. Raises FrontGone."""
        await self.follow(self._default_tariff)


def _spawn(theirs: socket.socket) -> "subprocess.Popen[bytes]":
    """The process, of the very program that this one is."""
    inherited = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])])}
    return subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-P", "-m", "mediation.front_process", str(theirs.fileno())],
        pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
