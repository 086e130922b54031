"""A simulated SIP switch that is commanded as a Kamailio is, over JSON-RPC: a hash table of barred numbers, and no call
of them. Its calls are those of the traffic that asks it.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from simulators.call_records import Record

PATH: Final = "/RPC"
REFUSED_CAUSE: Final = 21
"""Call rejected (ITU-T Q.850): what a caller hears who is barred (403)."""

Timed = tuple[float, Record]


class SIPSwitch:
    """Holds who is barred. `barred` are numbers in E.164 with their `+`, each with what the switch was told."""

    def __init__(self, told: Callable[[str, str], None] = lambda _number, _what: None) -> None:
        """`told` hears of every number that is barred or restored."""
        self.barred: dict[str, str] = {}
        self.refused = 0
        """Calls of barred numbers that were not put through."""
        self._told = told

    def refuse_barred(self, timed: Iterable[Timed]) -> Iterator[Timed]:
        """The calls as they go with the bars: one of a barred number fails at once, and its record says so."""
        for due_s, record in timed:
            if record["calling"] in self.barred:
                self.refused += 1
                record = {**record, "duration": 0, "cause": REFUSED_CAUSE}
                record.pop("answer", None)
            yield due_s, record

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Take commands while the context lasts; gives the URL. Raises OSError."""
        application = web.Application()
        application.router.add_post(PATH, self._answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            bound_host, bound_port = runner.addresses[0][:2]
            yield f"http://{bound_host}:{bound_port}{PATH}"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        asked = json.loads(await request.read())
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.get("id")}
        try:
            answer["result"] = self._carry_out(asked["method"], asked.get("params", []))
        except KeyError as absent:
            code = 404 if asked["method"] == "htable.delete" else 500
            answer["error"] = {"code": code, "message": f"Key name doesn't exist in htable: {absent}"}
        except LookupError:
            answer["error"] = {"code": 500, "message": "Method Not Found"}
        return web.json_response(answer)

    def _carry_out(self, method: str, parameters: list[Any]) -> Any:
        match method, parameters:
            case "htable.sets", [_, number, value]:
                if number not in self.barred:
                    self._told(number, "barred")
                self.barred[number] = value
                return "Ok"
            case "htable.get", [_, number]:
                return {"item": {"name": number, "value": self.barred[number]}}
            case "htable.delete", [_, number]:
                del self.barred[number]
                self._told(number, "restored")
                return "Ok"
            case "dlg.list_match", _:
                return []
        raise LookupError(method)
