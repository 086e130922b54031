"""A site whose daemon is killed while an account pays: who asks for what until it is answered, and what must be true of
the account when everything has settled."""

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from random import Random
from socket import MSG_PEEK
from threading import Condition, Thread
from typing import Any, Final

from tests.acceptance.control_site import OVER_LIMIT, FakeSwitch, Peers, Staff, provision, staff_token
from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site
from tests.acceptance.money_judge import Money
from tests.acceptance.statement_kill import Aim, clear, hit
from tests.pop_by_hand import Address, Answer, head, plug
from tests.small_site import TOKENS, a_record, account, line, ndjson

DUE: Final = 6_000_000
"""Of every account, for its one bill; its limit is 10.00."""
NEXT: Final = 3_000_000
"""What the next bill charges."""
RULES: Final = 'name = "standard"\n[early_payment_discount]\npercent = "2"\ndays = 10\n'
LATER_S: Final = 0.3
"""So long after the last answer a daemon is killed that nobody has killed until then."""
ENDS: Final = {"confirmed", "cancelled"}


class Scene(Enum):
    """What happens while a customer pays."""

    ALONE = "alone"
    RIVALS = "the same customer again, with another key, and staff"
    PARTS = "the same customer and staff, each a part"
    LIMIT = "a record crosses the limit"
    RESTORE = "barred until then"
    BILL = "the next bill is issued"


@dataclass(frozen=True, slots=True)
class Moment:
    """A kill from outside, when the payment or the switch has come so far."""

    what: str
    after_ms: int = 0

    def __str__(self) -> str:
        return f"{self.what}{f' + {self.after_ms} ms' if self.after_ms else ''}"


@dataclass(frozen=True, slots=True)
class Step:
    """One way in which a round goes."""

    scene: Scene
    kills: tuple[Aim | Moment, ...]
    """Each ends one daemon. In an aim's words stand {account} and {invoice}."""

    def __str__(self) -> str:
        return f"{self.scene.value}: {', then '.join(map(str, self.kills))}"


class KillingSwitch(FakeSwitch):
    """Kamailio's table, that has the daemon killed before a number is taken out, or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.tell: Callable[[str], None] = lambda _: None

    def htable_delete(self, table: str, key: str) -> dict[str, Any]:
        """Restore a number."""
        self.tell("restore arrives")
        said = super().htable_delete(table, key)
        self.tell("restore done")
        return said


class PayingPeers(Peers):
    """With that switch."""

    def __init__(self) -> None:
        super().__init__()
        self.switch: KillingSwitch = KillingSwitch()


@dataclass(frozen=True, slots=True)
class Request:
    """Something that is asked for with a key, until there is an answer."""

    who: str
    """`customer` or `staff`."""
    path: str
    body: bytes
    token: str
    key: str = ""
    listener: str = "web"

    def bytes(self) -> tuple[bytes, bytes]:
        """Head and body."""
        lines = [f"Content-Length: {len(self.body)}", "Content-Type: application/json"]
        lines += [f"Idempotency-Key: {self.key}"] * bool(self.key)
        return head(self.token, *lines, path=self.path), self.body


class Asking(Thread):
    """Asks again and again; `tell` hears how far it has come."""

    def __init__(self, site: "PayingSite", request: Request, tell: Callable[[str], None]) -> None:
        super().__init__(name=f"{request.who} {request.key}", daemon=True)
        self.request, self.answer = request, None  # type: Request, Answer | None
        self._site, self._tell = site, tell

    def run(self) -> None:
        """Until there is an answer."""
        deadline = time.monotonic() + 4 * WITHIN_S
        while self.answer is None and time.monotonic() < deadline:
            address = self._site.address(self.request.listener)
            try:
                self.answer = ask(address, self.request, self._tell)
            except (OSError, HTTPException):
                time.sleep(0.005)


def ask(address: Address, request: Request, tell: Callable[[str], None] = lambda _: None) -> Answer:
    """One request, byte by byte where it matters."""
    start, body = request.bytes()
    with closing(plug(address)) as wire:
        wire.sendall(start + body[:1])
        tell("half is written")
        wire.sendall(body[1:])
        tell("written")
        if not wire.recv(1, MSG_PEEK):
            raise ConnectionResetError
        tell("first byte")
        response = HTTPResponse(wire, method="POST")
        with closing(response):
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, headers, response.read())
    tell("answered")
    return answer


class PayingSite:
    """One daemon after the other; account and round have the same number."""

    def __init__(self, site: Site, around: PayingPeers, steps: Sequence[Step], periods: tuple[str, str]) -> None:
        """Every account has a bill of the first period, and may have calls of the second."""
        self.site, self.around, self._steps, self._periods = site, around, steps, periods
        self._aim = aim_of(site)
        self.hits: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self._changed = Condition()
        self._step: Step | None = None
        self._billing: subprocess.Popen[bytes] | None = None
        self._killed = 0
        """Kills of this round that are over."""
        self._wrong: list[str] = []
        self._provision()
        self.daemon = DaemonProcess(site.config).wait_ready()
        with Staff(self.daemon, self._staff) as staff:
            staff.prescribe(OVER_LIMIT)

    def _provision(self) -> None:
        numbers = range(len(self._steps))
        provision(self.site, self.around, numbers)
        self.site.done("import", "rules", self.site.write("rules.toml", RULES))
        first, second = self._periods
        records = [_call(f"first-{n}", n, f"{first}-15T12:00:00Z", DUE) for n in numbers]
        records += [
            _call(f"second-{n}", n, f"{second}-15T12:00:00Z", NEXT)
            for n in numbers
            if self._steps[n].scene is Scene.BILL
        ]
        with self.site.serving() as daemon, daemon.pop() as pop:
            assert pop.send(ndjson(*records)).counts == (len(records), 0, 0)
            assert daemon.terminate() == 0, daemon.text
        assert self.site.answer("bill-run", "--period", first)[1]["bills"] == len(numbers)
        rows = "".join(f"{account(n)},true\n" for n in numbers)
        self.site.done("import", "enrolments", self.site.write("enrolments.csv", f"account,enrolled\n{rows}"))
        self._staff = staff_token(self.site)
        self._customers = [self._customer_token(n) for n in numbers]
        self._invoices = {one["account"]: int(one["number"]) for one in Money(self.site.store).bills}

    def _customer_token(self, n: int) -> str:
        told = self.site.done("token", "add", f"customer {n}", "--role", "customer", "--account", account(n))
        return told.decode().strip()

    def address(self, listener: str) -> Address:
        """Where the daemon listens that runs now, or will in a moment."""
        with self._changed:
            table = "web" if listener == "web" else "feeds.pops"
            self._changed.wait_for(lambda: self.daemon.is_running and table in self.daemon.addresses, WITHIN_S)
            return self.daemon.addresses[table]

    # A round.

    def play(self, n: int, random: Random) -> list[str]:
        """The round of an account, until everything has settled; what is wrong then, in words."""
        step = self._steps[n]
        if step.scene is Scene.RESTORE:
            self._post_now(n)
            self._until(lambda: line(n) in self.around.switch.table and self._is_settled(n), "the bar")
        requests = self._requests(n)
        with ExitStack() as stack:
            self._begin(step, n, random)
            if step.scene is Scene.BILL:
                self._billing = stack.enter_context(self._bill_run(n))
                self._until(self._is_about_to_bill, "the bill run reads")
                time.sleep(random.uniform(0.0, 0.03))
            asking = [
                Asking(self, one, self._teller(random) if number == 0 else _to_nobody)
                for number, one in enumerate(requests)
            ]
            for one in reversed(asking):  # the record first: else there is nothing to bar
                one.start()
                time.sleep(random.uniform(0.0, 0.004))
            while self._killed < len(step.kills):
                self._wait_killed(asking)
                self._revive(n)
            for one in asking:
                one.join(4 * WITHIN_S)
        self._step = self._billing = None
        if step.scene is Scene.BILL:
            code, told = self.site.answer("bill-run", "--period", self._periods[1], "--account", account(n))
            assert code == 0, told
        self._until(lambda: self._is_free(n), "everything has settled")
        return [*self._wrong, *self._judge(n, asking)]

    def _begin(self, step: Step, n: int, random: Random) -> None:
        self._step, self._killed, self._wrong = step, 0, []
        self.around.switch.tell = self._teller(random)
        self._take_aim(n)

    def _take_aim(self, n: int) -> None:
        assert self._step is not None
        clear(self._aim)
        if self._killed < len(self._step.kills):
            kill = self._step.kills[self._killed]
            if isinstance(kill, Aim):
                words = kill.words.format(account=account(n), invoice=self._invoices[account(n)])
                kill._replace(words=words).put(self._aim)

    def _teller(self, random: Random) -> Callable[[str], None]:
        jitter_s = random.uniform(0.0, 0.002)

        def tell(what: str) -> None:
            step, killed = self._step, self._killed
            if step is None or killed >= len(step.kills):
                return
            kill, daemon = step.kills[killed], self.daemon
            if isinstance(kill, Moment) and kill.what == what and daemon.is_running:
                if kill.after_ms:
                    time.sleep(kill.after_ms / 1000 + jitter_s)
                daemon.kill()

        return tell

    def _wait_killed(self, asking: Sequence[Asking]) -> None:
        """Until the daemon is gone; one that has answered everything goes a little later."""
        assert self._step is not None
        kill = self._step.kills[self._killed]
        until: float | None = None
        while self.daemon.is_running:
            time.sleep(0.001)
            is_billing = self._billing is not None and self._billing.poll() is None
            if until is None and not is_billing and not any(one.is_alive() for one in asking):
                until = time.monotonic() + LATER_S
            if until is not None and time.monotonic() > until:
                self.kills["after everything"] += 1
                self.daemon.kill()
        if (statement := hit(self._aim)) is not None:
            self.hits[" ".join(statement.split()[:3])] += 1
        self.kills["at a statement" if statement else kill.what if isinstance(kill, Moment) else "not met"] += 1

    def _revive(self, n: int) -> None:
        with self._changed:
            self.daemon.close()
            self._wrong += [f"as it was killed: {fault}" for fault in Money(self.site.store).faults()]
            self._killed += 1
            self._take_aim(n)
            self.daemon = self._started()
            self._changed.notify_all()

    def _started(self) -> DaemonProcess:
        return DaemonProcess(self.site.config).wait_ready()

    def _requests(self, n: int) -> list[Request]:
        scene = self._steps[n].scene
        amounts = {Scene.RIVALS: ("", "", "6.00"), Scene.PARTS: ("2.00", "3.00", "1.00")}.get(scene, ("",))
        requests = [self._paying(n, number, amount) for number, amount in enumerate(amounts[:2])]
        if len(amounts) == 3:
            body = json.dumps({"amount": amounts[2]}).encode()
            path = f"/api/v1/accounts/{account(n)}/payments"
            requests.append(Request("staff", path, body, self._staff, f"staff of {n}"))
        if scene is Scene.LIMIT:
            requests.append(self._record(n))
        return requests

    def _paying(self, n: int, number: int, amount: str) -> Request:
        body = json.dumps({"amount": amount} if amount else {}).encode()
        path = f"/api/v1/invoices/{self._invoices[account(n)]}/payments"
        return Request("customer", path, body, self._customers[n], f"payment {number} of {n}")

    @staticmethod
    def _record(n: int) -> Request:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        body = ndjson(_call(f"now-{n}", n, now, DUE))
        return Request("pop", "/v1/transactions", body, TOKENS["pop-a"], listener="feeds.pops")

    def _post_now(self, n: int) -> None:
        answer = ask(self.address("feeds.pops"), self._record(n))
        assert answer.counts == (1, 0, 0)

    def _bill_run(self, n: int) -> "subprocess.Popen[bytes]":
        command = ("bill-run", "--period", self._periods[1], "--account", account(n), "--config", str(self.site.config))
        program = (sys.executable, "-m", "mediation.cli", *command)
        return subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _is_about_to_bill(self) -> bool:
        """Whether the bill run has opened the store: it hands the bill over in a moment."""
        assert self._billing is not None
        if self._billing.poll() is not None:
            return True
        opened = set[str]()
        for file in Path(f"/proc/{self._billing.pid}/fd").glob("*"):
            with suppress(OSError):
                opened.add(str(file.readlink()))
        return str(self.site.store) in opened

    # How it ends.

    def _is_free(self, n: int) -> bool:
        return self._is_settled(n) and line(n) not in self.around.switch.table

    def _is_settled(self, n: int) -> bool:
        with closing(sqlite3.connect(f"file:{self.site.store}?mode=ro", uri=True)) as cx:
            found = cx.execute("SELECT state FROM access_orders WHERE account = ?", (account(n),)).fetchall()
        return {state for (state,) in found} <= ENDS

    def _until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            assert time.monotonic() < deadline, f"not in time: {what}\n{self.daemon.text[-2000:]}"
            time.sleep(0.01)

    def _judge(self, n: int, asking: Sequence[Asking]) -> Iterator[str]:
        for one in asking:
            if one.answer is None:
                yield f"{one.name} was never answered"
                return
            if one.request.who != "pop":
                again = ask(self.address("web"), one.request)
                if (again.status, _said(again)) != (one.answer.status, _said(one.answer)):
                    yield f"{one.name}: {one.answer.body!r}, and asked again {again.body!r}"
        money = Money(self.site.store)
        yield from money.faults()
        yield from self._judge_answers(money, n, asking)
        yield from self.judge_end(money, n)
        recounted = self.site.command("recount")
        if recounted.returncode:
            yield recounted.stderr.decode()

    def _judge_answers(self, money: Money, n: int, asking: Sequence[Asking]) -> Iterator[str]:
        rows = {one["idempotency_key"]: one for one in money.payments_of(account(n))}
        received = {one["id"] for one in money.received_of(account(n))}
        told: set[int] = set()
        for one in asking:
            assert one.answer is not None
            row = rows.pop(one.request.key, None)
            if one.request.who == "staff" and one.answer.status == 202:
                told.add(one.answer.json["payment"])
            elif one.request.who == "customer" and row is None:
                yield f"{one.name}: there is no row"
            elif row is not None:
                is_so = {202: (row["entry"], "requested"), 409: (row["reason"], "refused")}.get(one.answer.status)
                if (_said(one.answer), row["state"]) != is_so:
                    yield f"{one.name}: {one.answer.body!r}, and the store says {row['state']}"
        if rows or told != received:
            yield f"payments that nobody made: {list(rows)}, received {received}, told {told}"

    def judge_end(self, money: Money, n: int) -> Iterator[str]:
        """What is wrong with what an account has paid in the end."""
        own = [one for one in money.payments_of(account(n)) if one["state"] == "requested"]
        paid = sum(one["amount_micros"] + one["discount_micros"] for one in own)
        received = len(money.received_of(account(n)))
        scene = self._steps[n].scene
        owed = money.owed(account(n))
        if scene is Scene.BILL:
            is_so = len(own) == 1 and (paid, owed) in {(DUE, NEXT), (DUE + NEXT, 0)}
        elif scene is Scene.PARTS:
            is_so = (len(own), received, owed) == (2, 1, 0)
        else:
            is_so = len(own) + received == 1 and owed == 0
        if not is_so:
            yield f"{len(own)} payments of {paid}, {received} received, and {owed} owed"


def aim_of(site: Site) -> Path:
    """The file that says at which statement a site's daemon is killed."""
    return site.directory / "daemon.aim"


def _call(id_: str, number: int, at: str, micros: int) -> dict[str, Any]:
    """A call to London for a round sum: 5 cents, and a cent a second."""
    return a_record(id_, calling=line(number), start=at, answer=at, duration=micros // 10_000 - 5)


def _said(answer: Answer) -> object:
    """What stays the same of an answer: the payment, or the reason why not."""
    told = answer.json
    return told.get("payment", told.get("reason"))


def _to_nobody(_: str) -> None:
    """Whoever asks too, besides the one who is watched."""
