"""Being woken by a directory in which something changes. It is for speed alone: whoever uses it looks now and then
anyway, because the kernel's watches can run out, and network file systems have none."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

log: Final = logging.getLogger(__name__)

AGAIN_S: Final = 60.0
"""A watch that could not be set up is tried again after so long."""
_DEBOUNCE_MS: Final = 500


async def watch(directory: Path, changed: Callable[[], None], concerns: Callable[[str], bool]) -> None:
    """Call `changed` whenever a file inside is made or written to whose name `concerns` us; until cancelled."""
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would tell of every change
    told = False
    while True:
        try:
            async for _ in awatch(
                directory,
                watch_filter=lambda change, path: change is not Change.deleted and concerns(Path(path).name),
                debounce=_DEBOUNCE_MS,
                recursive=False,
                force_polling=False,
            ):
                changed()
        except Exception as error:  # whatever it is, it only makes things slower
            if not told:
                log.warning(
                    "the kernel does not watch the directory: files are found a little later",
                    extra={"directory": str(directory), "error": str(error)},
                )
                told = True
        await asyncio.sleep(AGAIN_S)
