"""A page that shows how a simulator is getting on: `GET /` answers with JSON."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


@asynccontextmanager
async def status_page(host: str, port: int, status: Callable[[], dict[str, Any]]) -> AsyncIterator[str]:
    """Serve the status while the context lasts; gives the page's URL. Port 0 takes a free one.

    Raises:
        OSError: the address cannot be listened on.
    """

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(status())

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_host, bound_port = runner.addresses[0][:2]
        yield f"http://[{bound_host}]:{bound_port}" if ":" in bound_host else f"http://{bound_host}:{bound_port}"
    finally:
        await runner.cleanup()
