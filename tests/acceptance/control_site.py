"""A whole daemon that acts: beside it a switch that speaks Kamailio's JSON-RPC and a mail server, which live on when it
is killed; the API as staff use it."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final, Protocol, Self, TypeVar

from aiohttp import web

from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site
from tests.integration.mail_server import MailServer, mail_server
from tests.pop_by_hand import Answer, PopByHand
from tests.small_site import account, line, ndjson

T = TypeVar("T")

SWITCH: Final = "kam1"
ACTING: Final = """
[web]
listen = "127.0.0.1:0"
[mail]
smtp = "127.0.0.1:{mail}"
from = "noc@provider.example"
[control]
breaker = {{ orders = 100000, per = "10m" }}
[switches.kam1]
driver = "kamailio"
url = "{url}"
"""
OVER_LIMIT: Final[dict[str, Any]] = {
    "accounts": {"all": True},
    "name": "Over the credit limit",
    "when": {"measure": "charges", "period": "bill-cycle", "above_credit_limit": True},
    "alert": [{"by": "email"}],
    "respond": [{"do": "bar", "services": ["long-distance"], "until": "cleared"}],
}


class FakeSwitch:
    """Kamailio's table of barred numbers, and everything that was set in it and taken out."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {}
        self.changes: list[tuple[str, str]] = []
        """`sets` or `delete`, and the number."""
        self.url = ""

    def changes_of(self, number: str) -> list[str]:
        """What was done to a number, in order."""
        return [change for change, key in self.changes if key == number]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """It answers, at `url`."""
        application = web.Application()
        application.router.add_post("/RPC", self.answer)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/RPC"
        try:
            yield
        finally:
            await runner.cleanup()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One JSON-RPC request."""
        message = await request.json()
        return self.response(message, self.carry_out(message["method"], message["params"]))

    def carry_out(self, method: str, parameters: Sequence[Any]) -> dict[str, Any]:
        """Do it: what there is to say."""
        known: Callable[..., dict[str, Any]] = getattr(self, method.replace(".", "_"))
        return known(*parameters)

    @staticmethod
    def response(message: dict[str, Any], said: dict[str, Any]) -> web.Response:
        """A result or fault as the answer to a request."""
        return web.json_response(
            {"jsonrpc": "2.0", **said, "id": message["id"]}, status=200 if "result" in said else 500
        )

    def htable_get(self, _: str, key: str) -> dict[str, Any]:
        """Whether a number is barred."""
        if key not in self.table:
            return fault(500, "Key name doesn't exist in htable.")
        return {"result": {"item": {"name": key, "value": self.table[key], "flags": 2, "expire": "NEVER"}}}

    def htable_sets(self, _: str, key: str, value: str) -> dict[str, Any]:
        """Bar a number."""
        self.table[key] = value
        self.changes.append(("sets", key))
        return {"result": "Ok. Key set to new value."}

    def htable_delete(self, _: str, key: str) -> dict[str, Any]:
        """Restore it."""
        self.changes.append(("delete", key))
        if self.table.pop(key, None) is None:
            return fault(404, "Key not found in htable.")
        return {"result": "Ok. Key deleted."}

    def dlg_list_match(self, *_: object) -> dict[str, Any]:
        """Nobody is calling."""
        return fault(404, "Not found")


def fault(code: int, message: str) -> dict[str, Any]:
    """A refusal."""
    return {"error": {"code": code, "message": message}}


class Around:
    """What lives beside a daemon, in a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._up, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="around the daemon", daemon=True)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            await self.open(stack)
            self._up.set()
            await self._over.wait()

    async def open(self, stack: AsyncExitStack) -> None:
        """Begin everything that is to end with it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()

    def ask(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of a coroutine in the loop beside the daemon."""
        return asyncio.run_coroutine_threadsafe(question(), self._loop).result(WITHIN_S)


class Peers(Around):
    """The switch and the mail server."""

    def __init__(self) -> None:
        super().__init__()
        self.switch = FakeSwitch()
        self.mail: MailServer

    async def open(self, stack: AsyncExitStack) -> None:
        """Both."""
        await stack.enter_async_context(self.switch.serving())
        self.mail = await stack.enter_async_context(mail_server())

    @property
    def subjects(self) -> list[tuple[str, str]]:
        """Recipient and subject of every mail that was taken."""
        return [(taken.recipient, str(taken.message["Subject"])) for taken in self.mail.taken]


@contextmanager
def peers() -> Iterator[Peers]:
    """Both, running."""
    with Peers() as running:
        yield running


class TakesMail(Protocol):
    """A mail server."""

    @property
    def port(self) -> int:
        """Of the loopback."""


class Beside(Protocol):
    """Whom a daemon mails by, and commands."""

    @property
    def switch(self) -> FakeSwitch:
        """Of the lines that name no other."""

    @property
    def mail(self) -> TakesMail:
        """For all mail."""


def provision(
    site: Site,
    peers: Beside,
    numbers: Sequence[int],
    *,
    limit: str = "10.00",
    switch: str | None = None,
    more: str = "",
    switch_of: Callable[[int], str] = lambda _: SWITCH,
) -> None:
    """Accounts with a small credit limit, whose lines are at the switch: the peers', or one at another URL, or each as
    `switch_of` says; `more` lines of configuration."""
    acting = ACTING.format(mail=peers.mail.port, url=switch or peers.switch.url)
    site.config.write_text(site.config.read_text() + acting + more)
    site.provision(numbers)
    rows = "".join(
        f"{account(n)},Customer {n},c{n}@customers.example,USD,America/New_York,{limit},standard,,1\n" for n in numbers
    )
    head = "account,name,email,currency,timezone,credit_limit,tariff,agent,cycle_day\n"
    site.done("import", "accounts", site.write("accounts.csv", head + rows))
    rows = "".join(f"{line(n)},{account(n)},Transcontinental,long-distance,{switch_of(n)}\n" for n in numbers)
    site.done("import", "lines", site.write("lines.csv", "line,account,provider,service,switch\n" + rows))


def staff_token(site: Site) -> str:
    """An API token of staff."""
    return site.done("token", "add", "tests", "--role", "staff").decode().strip()


class Staff:
    """The API of one daemon, as staff call it."""

    def __init__(self, daemon: DaemonProcess, token: str) -> None:
        self._client = PopByHand(daemon.addresses["web"], token)

    def __enter__(self) -> "Staff":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.connection.close()

    def post(self, path: str, document: object, key: str) -> Answer:
        """An unsafe call with its key."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return self._client.request("POST", f"/api/v1/{path}", json.dumps(document).encode(), headers)

    def items(self, path: str) -> list[dict[str, Any]]:
        """A whole list."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            answer = self._client.get(f"/api/v1/{path}{'&' if '?' in path else '?'}limit=100{after}")
            assert answer.status == 200, answer
            found += answer.json["items"]
            if answer.json["next"] is None:
                return found
            after = f"&after={answer.json['next']}"

    def prescribe(self, event: object, key: str = "the event") -> None:
        """Add an account event; with one key once only."""
        answer = self.post("account-events", event, key)
        assert answer.status == 201, answer

    def pay(self, number: int, amount: str | None, key: str) -> Answer:
        """A payment received from the n-th account; None: of everything that is due."""
        paid = {} if amount is None else {"amount": amount}
        return self.post(f"accounts/{account(number)}/payments", paid, key)

    def orders(self, number: int | None = None) -> list[dict[str, Any]]:
        """Access orders, the oldest first."""
        which = "" if number is None else f"?account={account(number)}"
        return self.items(f"access-orders{which}")[::-1]


def send(daemon: DaemonProcess, *records: dict[str, Any]) -> Answer:
    """Post records by the feed."""
    with daemon.pop() as pop:
        return pop.send(ndjson(*records))


def eventually(holds: Callable[[], object], daemon: DaemonProcess, what: str) -> None:
    """Look again and again, within bounds."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}\n{daemon.text[-3000:]}"
        time.sleep(0.02)
