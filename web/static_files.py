"""Style sheets, scripts and pictures: read once, named by their content, kept by browsers for ever."""

import hashlib
import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

FOREVER: Final = "public, max-age=31536000, immutable"


class StaticFiles:
    """The files of `web/static`, by their paths below it."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        self._read(files("web").joinpath("static"), "")

    def _read(self, directory: Traversable, above: str) -> None:
        for entry in directory.iterdir():
            name = above + entry.name
            if entry.is_dir():
                self._read(entry, name + "/")
            else:
                body = entry.read_bytes()
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                self._files[name] = (body, kind, hashlib.blake2b(body, digest_size=8).hexdigest())

    def url(self, name: str) -> str:
        """Where a page finds a file; another content has another address."""
        return f"/static/{name}?v={self._files[name][2]}"

    async def serve(self, request: web.Request) -> web.Response:
        """Answer with a file."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, kind, version = found
        asked = request.query.get("v")
        headers = {"Cache-Control": FOREVER if asked == version else "no-cache", "ETag": f'"{version}"'}
        if request.headers.get("If-None-Match") == f'"{version}"':
            return web.Response(status=304, headers=headers)
        charset = "utf-8" if kind.startswith("text/") or kind.endswith("javascript") else None
        return web.Response(body=body, content_type=kind, charset=charset, headers=headers)
