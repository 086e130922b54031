"""`make screenshots`: the demo in a real browser, as PNG files for the documents.

python -m tests.browser.screenshots [DIRECTORY]       # default: web/screenshots
"""

import asyncio
import re
import signal
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mediation.demo.site import PASSWORD
from tests.browser.visitor import launched

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

WITHIN_S: Final = 60.0
SETTLED_S: Final = 70.0
"""Calls come in for so long before the first picture: then the past weeks, which come in at once, are no longer part of
the last minute."""
COLOURS: Final = 256
WIDE, NARROW = (1280, 800), (375, 760)


@dataclass(frozen=True)
class Shot:
    """One picture."""

    name: str
    user: str
    path: str
    follow: str = ""
    """A selector: the picture is of where its first link leads."""
    size: tuple[int, int] = WIDE
    scheme: str = "light"


DEAR: Final = "/transactions?column=charge&op=%3E&value=5&column=type&op=%3D&value=direct"
SHOTS: Final = (
    Shot("live", "staff", "/live"),
    Shot("orders", "staff", "/orders"),
    Shot("monitor", "staff", "/monitor/new"),
    Shot("accounts", "staff", "/accounts"),
    Shot("account", "staff", "/accounts", "a[href^='/accounts/4']"),
    Shot("calls", "staff", DEAR),
    Shot("call", "staff", DEAR, "tbody a[href^='/transactions/']"),
    Shot("suspense", "staff", "/suspense?reason=unknown-line"),
    Shot("record", "staff", "/suspense?reason=unknown-line", "a[href^='/suspense/']"),
    Shot("feeds", "operator", "/feeds"),
    Shot("invoice", "customer", "/statements", "a[href^='/invoices/']"),
    Shot("overview", "customer", "/home"),
    Shot("overview-dark", "customer", "/home", size=NARROW, scheme="dark"),
)


@asynccontextmanager
async def demo() -> AsyncIterator[str]:
    """`tollkeeper demo` on a free port; the pages' URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mediation.cli", "demo", "--listen", "127.0.0.1:0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(WITHIN_S):
            async for line in process.stdout:
                if found := re.match(r"open +(http://\S+?)/?\s*$", line.decode()):
                    break
            else:
                raise SystemExit("the demo ended and named no address")
        drained = asyncio.create_task(process.stdout.read())
        yield found[1]
        process.send_signal(signal.SIGINT)
        await drained
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def take(browser: "Browser", url: str, shot: Shot) -> bytes:
    """A picture, as the browser makes it."""
    width, height = shot.size
    options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": shot.scheme}
    context = await browser.new_context(base_url=url, reduced_motion="reduce", **options)
    try:
        page: Page = await context.new_page()
        await page.goto("/login")
        await page.get_by_label("Name").fill(shot.user)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.goto(shot.path)
        if shot.follow:
            await page.locator(shot.follow).first.click()
            await page.wait_for_load_state()
        await page.wait_for_timeout(1500)
        return await page.screenshot()
    finally:
        await context.close()


async def main(directory: Path) -> None:
    """Write all pictures."""
    from playwright.async_api import async_playwright  # not installed where only the product is tested

    directory.mkdir(parents=True, exist_ok=True)
    async with demo() as url, async_playwright() as driver:
        browser = await launched(driver)
        await asyncio.sleep(SETTLED_S)
        for shot in SHOTS:
            file = directory / f"{shot.name}.png"
            file.write_bytes(smaller(await take(browser, url, shot)))
            print(f"{file} {file.stat().st_size // 1024} KiB")
        await browser.close()


def smaller(png: bytes) -> bytes:
    """The same picture with a palette: the pages have few colours, but for the edges of letters."""
    width, height, pixels = _pixels(png)
    counts: dict[bytes, int] = {}
    triples = [pixels[at : at + 3] for at in range(0, len(pixels), 3)]
    for triple in triples:
        counts[triple] = counts.get(triple, 0) + 1
    palette = sorted(counts, key=lambda triple: -counts[triple])[:COLOURS]
    nearest = {triple: _nearest(triple, palette) for triple in counts}
    indexes = bytes(nearest[triple] for triple in triples)
    rows = b"".join(b"\0" + indexes[row * width : (row + 1) * width] for row in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return png[:8] + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _nearest(triple: bytes, palette: list[bytes]) -> int:
    red, green, blue = triple
    return min(
        range(len(palette)),
        key=lambda n: (palette[n][0] - red) ** 2 + (palette[n][1] - green) ** 2 + (palette[n][2] - blue) ** 2,
    )


def _pixels(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and RGB of an 8-bit PNG without interlacing, as browsers write it (PNG specification, 9.2)."""
    width, height, depth, colours = struct.unpack(">IIBB", png[16:26])
    size = {2: 3, 6: 4}[colours]
    assert depth == 8
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    lines, above, found = zlib.decompress(data), bytearray(width * size), bytearray()
    for row in range(height):
        start = row * (width * size + 1)
        line = bytearray(lines[start + 1 : start + 1 + width * size])
        _unfilter(lines[start], line, above, size)
        above = line
        found += line if size == 3 else b"".join(bytes(line[n : n + 3]) for n in range(0, len(line), 4))
    return width, height, bytes(found)


def _unfilter(kind: int, line: bytearray, above: bytearray, size: int) -> None:
    for n in range(len(line)):
        left, up = line[n - size] if n >= size else 0, above[n]
        corner = above[n - size] if n >= size else 0
        if kind == 1:
            add = left
        elif kind == 2:
            add = up
        elif kind == 3:
            add = (left + up) // 2
        elif kind == 4:
            guess = left + up - corner
            add = min((left, up, corner), key=lambda value: abs(guess - value))
        else:
            return
        line[n] = line[n] + add & 255


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "web/screenshots")))
