"""The demo's bill runs, each by the very command for it, in a process of its own while the daemon runs."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any, Final

import msgspec

_ROOT: Final = Path(__file__).resolve().parents[2]


class BillRunFailed(Exception):
    """A bill run that did not do what it was to do, in its own words."""


async def bill_run(config: Path, *options: str) -> dict[str, Any]:
    """What `tollkeeper bill-run` answers. Raises BillRunFailed."""
    inherited = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *([inherited] if inherited else [])])}
    arguments = ("--config", str(config), *options, "--json")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "mediation.cli", "bill-run", *arguments,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment,
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise BillRunFailed(err.decode(errors="replace").strip())
    return msgspec.json.decode(out.splitlines()[-1], type=dict[str, Any])
