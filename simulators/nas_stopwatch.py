"""A NAS for benchmarks of bars: `python -m simulators.nas_stopwatch`.

One session of each of many lines is live at it. It answers Disconnect- and CoA-Requests at once, and notes when.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import uvloop

from simulators.load_records import line_number
from simulators.nas import Call, Nas, Reaction
from simulators.nas_settings import NasSettings

_BEGUN_AT_ONCE: Final = 200
_RETRY_S: Final = 10.0

_EPILOG: Final = """\
stdout: {"coa": "HOST:PORT"}; after a line {"accounting": "HOST:PORT", "called": NUMBER} on stdin, when the Starts of
all sessions are answered, {"live": N}; after each further line {"barred": N}, the lines of which a session was barred;
and at the end of stdin {"acknowledged_at_s": [[k, s]...], "strangers": N, "cpu_s": S}. The k-th line (from 0) was
barred at s seconds of CLOCK_MONOTONIC, once for each entry; strangers are requests about no session that is live.
"""


class Stopwatch:
    """Notes requests."""

    def __init__(self, first_line: int) -> None:
        self._indexes: dict[str, int] = {}
        self._first_line = first_line
        self.acknowledged_at_s: list[tuple[int, float]] = []
        self.strangers = 0

    def expect(self, index: int) -> str:
        """The number of the index-th line."""
        number = line_number(self._first_line + index)
        self._indexes[number] = index
        return number

    @property
    def barred(self) -> int:
        """Lines that were barred."""
        return len({index for index, _ in self.acknowledged_at_s})

    def react(self, _code: int, call: Call | None) -> Reaction:
        """Obey, as soon as this is written down."""
        if call is None:
            self.strangers += 1
        else:
            self.acknowledged_at_s.append((self._indexes[call.calling], time.monotonic()))
        return Reaction.OBEY


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.nas_stopwatch", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--secret", required=True, metavar="S")
    parser.add_argument("--name", default="nas1", metavar="NAME", help="its NAS-Identifier (default nas1)")
    parser.add_argument("--lines", required=True, type=int, metavar="N", help="lines, with a session each")
    parser.add_argument("--first-line", required=True, type=int, metavar="INDEX", help="as the load generator has them")
    uvloop.run(_run(parser.parse_args(argv)))
    return 0


async def _run(options: argparse.Namespace) -> None:
    stopwatch = Stopwatch(options.first_line)
    settings = NasSettings(None, options.secret.encode(), options.name, retry_s=_RETRY_S)
    async with Nas(settings, stopwatch.react) as nas:
        host, port = nas.address
        _say({"coa": f"{host}:{port}"})
        told = json.loads(await _heard())
        host, _, port = told["accounting"].rpartition(":")
        await nas.report_to((host, int(port)))
        await _begin(nas, [stopwatch.expect(index) for index in range(options.lines)], told["called"])
        _say({"live": len(nas.calls)})
        while await _heard():
            _say({"barred": stopwatch.barred})
    noted = {"acknowledged_at_s": stopwatch.acknowledged_at_s, "strangers": stopwatch.strangers}
    _say(noted | {"cpu_s": time.process_time()})


async def _begin(nas: Nas, numbers: Sequence[str], called: str) -> None:
    slots = asyncio.Semaphore(_BEGUN_AT_ONCE)

    async def begin(number: str) -> None:
        async with slots:
            await nas.begin(number, called)

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(begin(number))


async def _heard() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


def _say(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    sys.exit(main())
