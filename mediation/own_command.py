"""Long work that the daemon has done by another process: a command of its own, which hands all writing back to it."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Final

END_S: Final = 5.0
"""A command that was told to end has ended within this; else it is killed."""
_ROOT: Final = Path(__file__).resolve().parent.parent


class CommandFailed(Exception):
    """It did not start, or did not do what it should; in its own words."""

    def __init__(self, how: str, words: str) -> None:
        super().__init__(words)
        self.how = how


async def run_command(name: str, config: Path, *arguments: str) -> bytes:
    """The last line of a command's JSON answer. Cancelled, it ends the command, and what that has handed over stays.
    Raises CommandFailed."""
    try:
        process = await _spawn(name, "--config", str(config), *arguments, "--daemon-only", "--json")
    except OSError as error:
        raise CommandFailed("did not start", str(error)) from error
    try:
        out, err = await process.communicate()
    finally:
        await _end(process)
    if process.returncode != 0:
        raise CommandFailed("failed", err.decode(errors="replace").strip()[-500:])
    return out.splitlines()[-1]


async def _spawn(*arguments: str) -> Process:
    """By the very program that this one is."""
    inherited = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])])}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "mediation.cli", *arguments,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment,
    )  # fmt: skip


async def _end(process: Process) -> None:
    """End a command that goes on."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
