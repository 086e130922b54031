"""The demo: a whole site in a temporary directory, fed by two simulated POPs, to be watched in a browser."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from mediation.config import Listen
from mediation.demo.show import show
from mediation.demo.site import Say
from mediation.demo.story import STEPS, tell

__all__ = ["STEPS", "run_demo"]


def run_demo(*, once: bool, say: Say, listen: Listen | None, stop: Callable[[], asyncio.Event]) -> list[str]:
    """Play the demo in a directory that goes with it; the steps of the story that were observed. `listen` is the pages'
    address; None takes the usual one, or a free one where that is taken."""

    async def play(directory: Path) -> list[str]:
        if once:
            return await tell(directory, say)
        await show(directory, say, listen, stop())
        return []

    with tempfile.TemporaryDirectory(prefix="tollkeeper-demo-") as directory:
        return asyncio.run(play(Path(directory)))
