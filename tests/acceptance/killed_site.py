"""A site whose daemon is killed at chosen moments and started again: rounds with accounts of their own, and what must
be true of them when everything has settled."""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from access.dispatcher import AT_ONCE, SLOTS_A_COMMAND
from tests.acceptance.aimed_kill import NOTHING, Moments, Step, StoreWatch
from tests.acceptance.aimed_peers import AimedPeers, now_us
from tests.acceptance.daemon_process import WITHIN_S, DaemonProcess, Site
from tests.pop_by_hand import Answer, PopByHand
from tests.small_site import a_record, account, line, ndjson

T = TypeVar("T")

CROWD: Final = SLOTS_A_COMMAND * AT_ONCE
"""So many targets of a switch are worked on at once; it is commanded for a part of them."""
ENDS: Final = {"confirmed", "cancelled"}
OF_PAYERS: Final = (
    [("bar", "cancelled")],
    [("bar", "cancelled"), ("restore", "confirmed")],
    [("bar", "confirmed"), ("restore", "confirmed")],
)
"""How the orders may end of an account that crossed its limit and has paid."""


@dataclass(frozen=True, slots=True)
class Round:
    """A step, and who plays: numbers of accounts that no other round has."""

    number: int
    step: Step
    subject: int
    owing: int
    """Crosses its limit as well, at Kamailio."""
    calling: int
    """Likewise at a NAS, with a call going on."""
    paying: int
    """Likewise at Kamailio, and pays at once."""
    innocent: int
    """Stays below its limit."""
    crowd: tuple[int, ...] = ()

    @property
    def over(self) -> tuple[int, ...]:
        """Who crosses their limits."""
        return self.subject, self.owing, self.calling, self.paying, *self.crowd

    @property
    def payers(self) -> tuple[int, ...]:
        """Who of them pays."""
        return (self.paying,) if self.step.pay_at is None else (self.paying, self.subject)

    def switch_of(self, number: int) -> str:
        """Where an account's line is."""
        return {self.subject: self.step.switch, self.calling: "nas1"}.get(number, "kam1")

    def __str__(self) -> str:
        return f"round {self.number}, {self.step.name}"


def rounds_of(steps: Sequence[Step], rounds: int) -> list[Round]:
    """The steps in turn, again and again."""
    numbers = count()
    played = []
    for number in range(rounds):
        step = steps[number % len(steps)]
        subject, owing, calling, paying, innocent = (next(numbers) for _ in range(5))
        crowd = tuple(next(numbers) for _ in range(CROWD if step.crowded else 0))
        played.append(Round(number, step, subject, owing, calling, paying, innocent, crowd))
    return played


def call(id_: str, number: int) -> dict[str, Any]:
    """A call of today to London, 6.00: two of them are more than the limit."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return a_record(id_, calling=line(number), start=now, answer=now, duration=595)


class KilledSite:
    """Plays rounds with one daemon after the other."""

    def __init__(self, site: Site, around: AimedPeers, token: str) -> None:
        self._site, self._around, self._token = site, around, token
        self._moments = NOTHING
        self.daemon = DaemonProcess(site.config).wait_ready()
        self.paid_at: dict[int, int] = {}
        """When who was told that their payment is taken."""
        self.started_at: list[int] = [now_us()]
        self.sent: set[str] = set()
        """The ids of all records that were acknowledged."""
        self.met: Counter[str] = Counter()
        """How many orders and alerts stood in which state when a daemon was killed: `bar sent`."""
        self._over: tuple[int, ...] = ()

    def play(self, played: Round, random: Random) -> None:
        """One round, until everything has settled. Fails if a moment does not come."""
        step, self._over = played.step, played.over
        crowd = [line(number) for number in played.crowd]
        jitter_ms = random.uniform(0.0, 2.0) if played.number and step.after_ms else 0.0
        self._moments = moments = Moments(step, line(played.subject), crowd=crowd, jitter_ms=jitter_ms)
        self._around.play(moments)
        moments.begin(self.daemon.kill)
        with StoreWatch(self._site.store, account(played.subject), moments):
            for number in played.over:
                if played.switch_of(number) != "kam1":
                    self._around.call(played.switch_of(number), number)
            if step.in_call:
                self._around.switch.calls[line(played.subject)] = -1
            if played.crowd:
                self._post(played.crowd, told=False)
                self._until(lambda: f"any htable.get {AT_ONCE} arrives" in moments.log, "the crowd")
            self._post(played.over[:4], (played.innocent,), told=True)
            self._pay(played.paying)
            self._until(lambda: self._has_played(played), f"{step.name}\nwhat came: {', '.join(moments.log)}")
            settled = Settled(self._site.store, played)
            self._until(lambda: settled.is_so, "everything has settled")
        for number in (played.subject, played.calling):
            self._answered(lambda _, number=number: self._around.hang_up(number))  # type: ignore[misc]  # bound at once

    def _has_played(self, played: Round) -> bool:
        """Whether all kills and the payment are over, after doing what is to be done."""
        moments = self._moments
        if moments.is_killed:
            self._revive()
        if moments.to_pay.is_set() and not moments.paid.is_set():
            self._pay(played.subject, moments)
            moments.paid.set()
        return not moments.has_aims and not moments.is_killed and (not moments.step.pay_at or moments.paid.is_set())

    def _post(self, over: Sequence[int], below: Sequence[int] = (), *, told: bool) -> None:
        records = [call(f"{number}-{n}", number) for n in range(2) for number in over]
        records += [call(f"{number}-0", number) for number in below]

        def post(daemon: DaemonProcess) -> None:
            with daemon.pop() as pop:
                path = "/v1/transactions"
                answer = _ask(pop, path, ndjson(*records), {}, self._moments if told else None, "record")
                assert sum(answer.counts[:2]) == len(records), answer

        self._answered(post)
        self.sent |= {str(record["id"]) for record in records}

    def _pay(self, number: int, moments: Moments | None = None) -> None:
        def pay(daemon: DaemonProcess) -> None:
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"receipt of {number}"}
            body = json.dumps({"amount": "5.00"}).encode()
            with PopByHand(daemon.addresses["web"], self._token) as client:
                answer = _ask(client, f"/api/v1/accounts/{account(number)}/payments", body, headers, moments, "payment")
                assert answer.status == 202, answer

        self._answered(pay)
        self.paid_at[number] = now_us()

    def _answered(self, ask: Callable[[DaemonProcess], T]) -> T:
        """The answer to something that is asked again if the daemon was killed meanwhile."""
        while True:
            try:
                return ask(self.daemon)
            except (OSError, HTTPException):
                self._moments.wait(1.0)
                if not self._moments.is_killed:
                    raise
                self._revive()

    def give_up(self) -> None:
        """A round came to nothing: the next one has another daemon."""
        self._moments.give_up()
        self._revive()

    def _revive(self) -> None:
        """Start the next daemon; again, if that is killed before it is ready."""
        while True:
            self.daemon.close()
            self._around.ask(self._around.switch.rest)
            for number in self._over:
                said = Said(self._site.store, account(number))
                self.met.update([f"{action} {state}" for action, state in said.order_states])
                self.met.update([f"alert {state}" for state in said.alert_states])
            self.daemon = DaemonProcess(self._site.config)
            self.started_at.append(now_us())
            self._moments.begin(self.daemon.kill)
            try:
                self.daemon.wait_ready()
            except AssertionError:
                self._moments.wait(1.0)
                if not self._moments.is_killed:
                    raise
            else:
                return

    def _until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            if time.monotonic() > deadline:
                raise NotInTimeError(f"not in time: {what}\n{self.daemon.text[-2000:]}")
            self._moments.wait(0.005)

    def judge(self, played: Round) -> Iterator[str]:
        """What is wrong with a round that has settled, in words."""
        for number in (*played.over, played.innocent):
            told = Said(self._site.store, account(number))
            for fault in self._judge_account(played, number, told):
                yield f"{played}: {account(number)} {played.switch_of(number)}: {fault}; {told}"
        alerts = [state for number in played.over for state in Said(self._site.store, account(number)).alert_states]
        doubtful, most = alerts.count("unknown"), len(played.step.kill_at)
        if doubtful > most or played.step.doubtful not in (None, doubtful):
            yield f"{played}: {doubtful} alerts have an unknown end"
        if played.step.mails not in (None, found := len(self._mails_to(played.subject))):
            yield f"{played}: the account got {found} mails"

    def _judge_account(self, played: Round, number: int, told: "Said") -> Iterator[str]:
        is_over, has_paid = number in played.over, number in played.payers
        switch, key = played.switch_of(number), line(number)
        owes = is_over and not has_paid
        if owes != self._around.is_barred(switch, number) and not (switch == "nas1" and has_paid):
            yield "it owes, and is forgotten" if owes else "it is barred, and owes nothing"
        if not is_over and told.orders:
            yield "it is innocent, and has orders"
        if owes and told.order_states != [("bar", "confirmed")]:
            yield "its orders are not one bar"
        if has_paid and told.order_states not in OF_PAYERS:
            yield "its orders are not those of one who has paid"
        for order in told.orders:
            if order["state"] == "confirmed" and switch == "kam1":
                was_barred = self._around.switch.was_barred(key, order["confirmed_at"])
                if was_barred != (order["action"] == "bar"):
                    yield f"order {order['id']} is confirmed, and it was not so"
        if has_paid:
            yield from self._judge_payer(switch, number, told)
        elif any(not is_barred for _, is_barred in self._around.changes_of(switch, number)):
            yield "it was restored, and owes"
        if told.firings != is_over:
            yield f"{told.firings} firings"
        yield from self._judge_mails(number, told, owes=owes, is_over=is_over)

    def _judge_payer(self, switch: str, number: int, told: "Said") -> Iterator[str]:
        paid_at = self.paid_at[number]
        if any(order["action"] == "bar" and (order["sent_at"] or 0) > paid_at for order in told.orders):
            yield "a bar was sent after it had paid"
        restarts = [at for at in self.started_at if at > paid_at]
        if restarts and any(
            at > restarts[0] and is_barred for at, is_barred in self._around.changes_of(switch, number)
        ):
            yield "the switch was told to bar it after it had paid"
        if told.payments != [5_000_000]:
            yield f"payments {told.payments}"

    def _judge_mails(self, number: int, told: "Said", *, owes: bool, is_over: bool) -> Iterator[str]:
        mails = self._mails_to(number)
        if mails and max(mails.values()) > 1:
            yield "a mail came twice"
        states = told.alert_states
        if set(states) - {"sent", "unknown"}:
            yield f"alerts are {states}"
        if not states.count("sent") <= len(mails) <= len(states):
            yield f"{len(mails)} mails came"
        if any(alert["state"] == "unknown" and "not sent again" not in alert["words"] for alert in told.alerts):
            yield "an alert does not say why its end is unknown"
        kinds = Counter(json.loads(alert["facts"])["type"] for alert in told.alerts)
        most = {"fired": 1, "bar-confirmed": 1} if is_over else {}
        if kinds["fired"] != is_over or kinds - Counter(most) or (owes and not kinds["bar-confirmed"]):
            yield f"alerts of {dict(kinds)}"

    def _mails_to(self, number: int) -> Counter[str]:
        return Counter(mail.id for mail in self._around.mail.taken if mail.recipient == f"c{number}@customers.example")


class NotInTimeError(AssertionError):
    """Something did not come."""


class Said:
    """What the store says of an account, read without the program's own code."""

    def __init__(self, store: Path, number: str) -> None:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as cx:
            cx.row_factory = sqlite3.Row
            cx.execute("BEGIN")
            of_account = "FROM {} WHERE account = ? ORDER BY id"
            self.orders = _rows(cx, f"SELECT * {of_account.format('access_orders')}", number)
            self.alerts = _rows(cx, f"SELECT * {of_account.format('alerts')}", number)
            self.firings = len(_rows(cx, f"SELECT id {of_account.format('firings')}", number))
            self.payments = [
                row["amount_micros"]
                for row in _rows(
                    cx, "SELECT amount_micros FROM ledger_postings WHERE account = ? AND book <> 'receivable'", number
                )
            ]

    @property
    def order_states(self) -> list[tuple[str, str]]:
        """The oldest first."""
        return [(order["action"], order["state"]) for order in self.orders]

    @property
    def alert_states(self) -> list[str]:
        """Likewise."""
        return [alert["state"] for alert in self.alerts]

    def __str__(self) -> str:
        names = ("id", "action", "state", "sent_at", "confirmed_at", "tries", "words")
        return f"orders {[[order[name] for name in names] for order in self.orders]}, alerts {self.alert_states}"


class Settled:
    """Whether nothing of a round is under way any more."""

    def __init__(self, store: Path, played: Round) -> None:
        self._store = store
        self._accounts = [account(number) for number in played.over]

    @property
    def is_so(self) -> bool:
        """As of now."""
        said = [Said(self._store, number) for number in self._accounts]
        return all(
            each.orders
            and all(order["state"] in ENDS for order in each.orders)
            and not {"waiting", "sending"} & set(each.alert_states)
            for each in said
        )


def unbalanced(store: Path) -> list[tuple[int, int]]:
    """Entries of the ledger whose postings do not sum to zero."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as cx:
        return cx.execute(
            "SELECT entry, sum(amount_micros) FROM ledger_postings GROUP BY entry HAVING sum(amount_micros) <> 0"
        ).fetchall()


def _ask(
    client: PopByHand, path: str, body: bytes, headers: Mapping[str, str], moments: Moments | None, what: str
) -> Answer:
    """A POST, with a moment before its answer is read and one after."""
    sent = {"Authorization": f"Bearer {client.token}", **headers}
    client.connection.request("POST", path, body, sent)
    if moments:
        moments.reached(f"{what} posted")
    response = client.connection.getresponse()
    answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    if moments:
        moments.reached(f"{what} acknowledged")
    return answer


def _rows(cx: sqlite3.Connection, query: str, number: str) -> list[sqlite3.Row]:
    return cx.execute(query, (number,)).fetchall()
