"""Live parts of pages: a part is rendered again and sent when it has changed (Server-Sent Events)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web
from aiohttp_sse import sse_response

from web.refusals import Refused
from web.rendering import known_to_all
from web.request import is_still_signed_in

EVERY_S: Final = 1.0
MOST_STREAMS: Final = 200
"""Pages that are kept live at once; a further one is shown with a Refresh link."""

Part = Callable[[web.Request], Awaitable[dict[str, Any]]]
"""What a part's template needs, as of now."""


class LiveParts:
    """All live parts that are open; they end with `close`."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()
        self._open = 0

    def close(self) -> None:
        """End the streams: the daemon stops."""
        self._closing.set()

    async def stream(self, request: web.Request, template: str, part: Part) -> web.StreamResponse:
        """Send the part whenever it reads differently, until the page goes away."""
        if self._open >= MOST_STREAMS:
            raise Refused(503, "too many pages are live: refresh this one by hand", {"Retry-After": "30"})
        self._open += 1
        stream: web.StreamResponse = web.Response()
        try:
            async with sse_response(request) as events:
                stream = events
                sent = ""
                while events.is_connected() and not self._closing.is_set():
                    text = aiohttp_jinja2.render_string(template, request, known_to_all(request) | await part(request))
                    if not is_still_signed_in(request):
                        break
                    if text != sent:
                        await events.send(text, event="part")
                        sent = text
                    try:
                        async with asyncio.timeout(EVERY_S):
                            await self._closing.wait()
                    except TimeoutError:
                        continue
        except ConnectionError:
            pass  # the page has gone away
        finally:
            self._open -= 1
        return stream
