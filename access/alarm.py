"""Something to wait for that others ring, or time."""

import asyncio
from collections.abc import Awaitable, Callable


class Alarm:
    """Rung by whoever has something to do for the one who waits."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._sleep = sleep
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits; who looks just now is woken when it waits again."""
        self._rung.set()

    def reset(self) -> None:
        """Before looking: what rings while one looks is not lost."""
        self._rung.clear()

    async def wait(self, at_most_s: float) -> None:
        """Until it is rung, or so many seconds are over."""
        timer = asyncio.create_task(self._ring_after(at_most_s))
        try:
            await self._rung.wait()
        finally:
            timer.cancel()

    async def _ring_after(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._rung.set()
