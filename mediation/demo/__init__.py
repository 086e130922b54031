"""The demo: a whole site in a temporary directory, fed by two simulated POPs, to be watched in a browser."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from mediation.config import Listen
from mediation.demo.show import show
from mediation.demo.site import Say
from mediation.demo.story import tell
from mediation.demo.telling import Told

__all__ = ["Told", "run_demo"]


def run_demo(
    *, once: bool, within_s: float, say: Say, listen: Listen | None, stop: Callable[[], asyncio.Event]
) -> Told:
    """Play the demo in a directory that goes with it; what was observed of the story, whose steps are awaited so long.

    `listen` is the pages' address; None takes the usual one, or a free one where that is taken."""

    async def play(directory: Path) -> Told:
        if once:
            return await tell(directory, say, within_s)
        await show(directory, say, listen, stop())
        return Told()

    with tempfile.TemporaryDirectory(prefix="tollkeeper-demo-") as directory:
        return asyncio.run(play(Path(directory)))
