"""A simulated SIP switch that is commanded as a Kamailio is, over JSON-RPC: a hash table of barred numbers, whose calls
it refuses, and dialogs that can be listed and ended. It is a view of an exchange.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from simulators.exchange import CUT, Call, Exchange
from simulators.live_calls import Clock, wall_clock

PATH: Final = "/RPC"

_RINGING: Final = 2
_TALKING: Final = 4
_ENTRIES: Final = 4096
"""Of the table of dialogs: a dialog is known by its entry, and a number that is unique in it."""
_CSEQ: Final = "1"


class _NoSuchCall(LookupError):
    """There is no such dialog, or it is not in a state to be ended so."""


class SIPSwitch:
    """Bars the numbers of an exchange, and ends their calls."""

    def __init__(
        self,
        exchange: Exchange | None = None,
        told: Callable[[str, str], None] = lambda _number, _what: None,
        clock: Clock = wall_clock,
    ) -> None:
        """`told` hears of every number that is barred or restored."""
        self.exchange = Exchange() if exchange is None else exchange
        self._told = told
        self._clock = clock

    @property
    def barred(self) -> dict[str, str]:
        """Numbers in E.164 with their `+`, each with what the switch was told."""
        return self.exchange.barred

    @property
    def refused(self) -> int:
        """Calls of barred numbers that were not put through."""
        return self.exchange.refused

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
        except _NoSuchCall:
            answer["error"] = {"code": 404, "message": "Not found"}
        except LookupError:
            answer["error"] = {"code": 500, "message": "Method Not Found"}
        return web.json_response(answer)

    def _carry_out(self, method: str, parameters: list[Any]) -> Any:
        match method, parameters:
            case "htable.sets", [_, number, value]:
                if self.exchange.bar(number, value):
                    self._told(number, "barred")
                return "Ok"
            case "htable.get", [_, number]:
                return {"item": {"name": number, "value": self.barred[number]}}
            case "htable.delete", [_, number]:
                if not self.exchange.restore(number):
                    raise KeyError(number)
                self._told(number, "restored")
                return "Ok"
            case "dlg.list_match", ["furi", "sw", str(begins), *_]:
                number = begins.removeprefix("sip:").partition("@")[0]
                return [_dialog(call) for call in self.exchange.calls_of(number)]
            case "dlg.end_dlg", [_, int(dialog)]:
                return self._end(lambda call: call.number == dialog and call.answered_at is not None)
            case "tm.cancel", [str(session), _]:
                return self._end(lambda call: call.session == session and call.answered_at is None)
        raise LookupError(method)

    def _end(self, is_meant: Callable[[Call], bool]) -> str:
        for call in self.exchange.calls():
            if is_meant(call):
                self.exchange.end(call, self._clock(), CUT)
                return "Ok"
        raise _NoSuchCall


def _dialog(call: Call) -> dict[str, Any]:
    """A call as the module dialog lists it, as far as it takes to end it."""
    return {
        "h_entry": call.number % _ENTRIES,
        "h_id": call.number,
        "call-id": call.session,
        "state": _RINGING if call.answered_at is None else _TALKING,
        "caller": {"cseq": _CSEQ},
    }
