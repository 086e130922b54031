"""Alerts through a real mail server: each at most once, whatever the server or the daemon does, and tried again when
it is certain that nothing went out."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from control.alerts import PROVIDER, Alert, Courier, Fired, Mailer, Medium, OrderNow, State, Tls
from control.alerts import alert_rows as rows
from control.alerts.courier import GIVEN_UP_AFTER_S, INTERRUPTED, retry_after_s
from control.alerts.mail import LONGEST_WORDS, Outcome, _shown
from control.alerts.message import message_id
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.sqlite import SqliteStore, open_store
from tests.builders import ACCOUNT, NOW, accounts_csv, an_account
from tests.integration.certificates import make_certificate
from tests.integration.mail_server import MailServer, mail_server

SENDER, NOC = "billing@provider.example", "noc@provider.example"
WITHIN_S = 20.0


class Killed(Exception):
    """The end of a process, as far as its transactions can tell."""


class Outbox:
    """A store with an outbox, a clock that the test sets, and couriers that come and go like processes."""

    def __init__(self, store: SqliteStore, port: int) -> None:
        self.store, self.port = store, port
        self.now = NOW
        self.orders: list[OrderNow] = []
        self.dies_at: int | None = None
        """The store transaction, from 0, at which the process ends."""
        self.dies_after_commit = False
        self.seen: list[str] = []

    async def transact(self, work: Callable[..., Any], *args: Any) -> Any:
        dies = self.dies_at == 0
        if self.dies_at is not None:
            self.dies_at -= 1
        if dies and not self.dies_after_commit:
            raise Killed
        result = await self.store.transact(work, *args)
        if dies:
            raise Killed
        return result

    async def read(self, query: Callable[..., Any], *args: Any) -> Any:
        return await self.store.read(query, *args)

    def courier(self, mailer: Mailer | None = None, provider: str | None = NOC) -> Courier:
        mailer = mailer or a_mailer(self.port)
        store: Any = self
        return Courier(store, mailer, lambda: self.now, orders_of=lambda _cx, _alert: self.orders, provider=provider)

    async def queue(self, *to: str | None, by: Medium = Medium.EMAIL, cause: str = "firing 1") -> None:
        def put(cx: Any) -> None:
            for recipient in to:
                rows.queue(cx, an_account(), Fired("LD", NOW), by=by, to=recipient, cause=cause, now=self.now)

        await self.store.transact(put)

    async def alerts(self) -> list[Alert]:
        found = await self.store.read(lambda cx: rows.alerts(cx, limit=100))
        return found[::-1]

    async def states(self) -> list[State]:
        return [alert.state for alert in await self.alerts()]

    async def only(self) -> Alert:
        (alert,) = await self.alerts()
        return alert


def a_mailer(port: int, **values: Any) -> Mailer:
    return Mailer("127.0.0.1", port, SENDER, **{"timeout_s": 10} | values)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@asynccontextmanager
async def an_outbox(path: Path, port: int) -> AsyncIterator[Outbox]:
    store = await open_store(path / "tollkeeper.db", all_migrations(), NOW)
    try:
        await store.import_accounts(accounts_csv(), NOW)
        yield Outbox(store, port)
    finally:
        await store.close()


@pytest.fixture
async def outbox(tmp_path: Path, server: MailServer) -> AsyncIterator[Outbox]:
    async with an_outbox(tmp_path, server.port) as outbox:
        yield outbox


async def test_what_is_due_goes_out_once_over_one_connection(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example", "c@d.example", PROVIDER)
    courier = outbox.courier()
    await courier.deliver_due()
    await courier.deliver_due()
    assert server.recipients == ["a@b.example", "c@d.example", NOC]
    assert server.connections == 1
    assert await outbox.states() == [State.SENT] * 3
    alert, taken = (await outbox.alerts())[0], server.taken[0]
    assert (alert.sent_at, alert.tries, alert.words) == (NOW, 1, "the mail server answered 250 queued as 17")
    assert taken.sender == SENDER
    assert taken.message["Message-ID"] == message_id(alert, SENDER)
    assert taken.message["Date"] == "Fri, 20 Nov 2026 15:00:00 +0000"
    assert taken.message.get_content_type() == "multipart/alternative"


async def test_a_text_says_what_is_true_when_it_is_sent(server: MailServer, outbox: Outbox) -> None:
    outbox.orders = [OrderNow("bar", "long-distance", "1", "planned")]
    await outbox.queue("a@b.example")
    server.answer("RCPT", "450 greylisted")
    courier = outbox.courier()
    await courier.deliver_due()
    outbox.orders = [OrderNow("bar", "long-distance", "1", "confirmed")]
    await outbox.store.import_accounts(accounts_csv(f"{ACCOUNT},Ada King,,USD,America/New_York,,standard,,1"), NOW)
    outbox.now += 60 * MICROS
    await courier.deliver_due()
    (taken,) = server.taken
    body = taken.message.get_body(("plain",))
    assert body is not None
    assert "Dear Ada King," in body.get_content()
    assert "long-distance: barred\r\n" in body.get_content()


async def test_the_providers_own_and_other_media_wait(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue(PROVIDER)
    await outbox.queue("12125550100", by=Medium.FAX)
    await outbox.courier(provider=None).deliver_due()
    assert await outbox.states() == [State.WAITING] * 2
    await outbox.courier(provider=NOC).deliver_due()
    assert server.recipients == [NOC]
    assert await outbox.states() == [State.SENT, State.WAITING]


REFUSALS = [
    ("RCPT", "450 later", State.WAITING),
    ("RCPT", "550 no such user", State.FAILED),
    ("DATA", "451 local error", State.WAITING),
    ("DATA", "554 looks like spam", State.FAILED),
    ("MAIL", "452 no space", State.WAITING),
    ("MAIL", "550 not from you", State.WAITING),
    ("MAIL", "drop", State.WAITING),
    ("RCPT", "drop", State.WAITING),
]


@pytest.mark.parametrize(("command", "answer", "state"), REFUSALS)
async def test_a_refusal_is_for_now_or_for_good(
    server: MailServer, outbox: Outbox, command: str, answer: str, state: State
) -> None:
    await outbox.queue("a@b.example")
    server.answer(command, answer)
    await outbox.courier().deliver_due()
    alert = await outbox.only()
    assert (alert.state, alert.tries) == (state, 1)
    if answer != "drop":
        assert answer in alert.words
    if state is State.WAITING:
        assert alert.due_at == NOW + 60 * MICROS
        outbox.now = alert.due_at - 1
        await outbox.courier().deliver_due()
        assert server.taken == []
        outbox.now += 1
        await outbox.courier().deliver_due()
        assert (await outbox.only()).state is State.SENT
    assert server.recipients == ["a@b.example"] * (state is State.WAITING)


@pytest.mark.parametrize("answer", ["drop", "take and drop", "silence"])
async def test_an_end_that_nobody_knows_is_shown_and_not_repeated(
    server: MailServer, outbox: Outbox, answer: str
) -> None:
    await outbox.queue("a@b.example", "c@d.example")
    server.answer("DATA", answer)
    courier = outbox.courier(a_mailer(server.port, timeout_s=1 if answer == "silence" else 10))
    await courier.deliver_due()
    first, second = await outbox.alerts()
    assert (first.state, second.state) == (State.UNKNOWN, State.SENT)
    assert first.words.startswith("the mail server did not say whether it took it")
    outbox.now += GIVEN_UP_AFTER_S * MICROS
    await courier.deliver_due()
    await outbox.courier().recover()
    assert Counter(server.recipients) == Counter({"c@d.example": 1, "a@b.example": int(answer == "take and drop")})
    assert (await outbox.alerts())[0] == first


async def test_one_that_is_refused_does_not_hold_up_the_others(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("no address", "a@b.example", "c@d.example", "e@f.example")
    server.answer("RCPT", "550 no such user")
    await outbox.courier().deliver_due()
    assert await outbox.states() == [State.FAILED, State.FAILED, State.SENT, State.SENT]
    assert server.connections == 1


async def test_a_connection_that_the_server_ends_between_two_is_opened_anew(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example", "c@d.example", "e@f.example")
    server.answer("MAIL", "agree", "421 enough for one connection", "agree", "drop")
    await outbox.courier().deliver_due()
    assert await outbox.states() == [State.SENT] * 3
    assert server.connections == 3


async def test_without_a_server_everything_waits_and_goes_out_later(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example", "c@d.example")
    async with mail_server() as other:
        closed_port = other.port
    courier = outbox.courier(a_mailer(closed_port))
    await courier.deliver_due()
    for alert in await outbox.alerts():
        assert (alert.state, alert.tries, alert.due_at) == (State.WAITING, 1, NOW + 60 * MICROS)
        assert f"port {closed_port} does not work" in alert.words
    outbox.now += 60 * MICROS
    await outbox.courier().deliver_due()
    assert await outbox.states() == [State.SENT] * 2


async def test_a_server_that_does_not_work_with_us_is_asked_once_for_all(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example", "c@d.example", "e@f.example")
    server.answer("MAIL", "550 not from you")
    await outbox.courier().deliver_due()
    assert server.commands == ["MAIL"]
    assert [(alert.state, alert.tries) for alert in await outbox.alerts()] == [(State.WAITING, 1)] * 3


async def test_after_a_day_it_is_given_up(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example")
    server.answer("RCPT", *["450 later"] * 100)
    courier = outbox.courier()
    while (alert := await outbox.only()).state is State.WAITING:
        assert alert.due_at - NOW <= GIVEN_UP_AFTER_S * MICROS
        outbox.now = alert.due_at
        await courier.deliver_due()
    assert alert.state is State.FAILED
    assert alert.words == "given up after a day: the mail server answered 450 later"
    assert outbox.now > NOW + 22 * 3600 * MICROS


def test_retries_come_after_a_minute_doubling_to_an_hour() -> None:
    delays = [retry_after_s(tries) for tries in range(1, 40)]
    given_up = delays.index(None)
    assert delays[:8] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert set(delays[6:given_up]) == {3600}
    assert delays[given_up:] == [None] * (39 - given_up)
    told = [delay for delay in delays if delay is not None]
    assert GIVEN_UP_AFTER_S - 3600 < sum(told) <= GIVEN_UP_AFTER_S


async def test_what_is_dropped_at_the_last_moment_does_not_go_out(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example", "c@d.example")

    class Dropping(Outbox):
        """Somebody is quicker than the courier by a transaction."""

        async def transact(self, work: Callable[..., Any], *args: Any) -> Any:
            drop = "UPDATE alerts SET state = ? WHERE id = 1"
            await self.store.transact(lambda cx: cx.execute(drop, (State.DROPPED,)))
            return await super().transact(work, *args)

    await Dropping(outbox.store, server.port).courier().deliver_due()
    assert await outbox.states() == [State.DROPPED, State.SENT]
    assert server.recipients == ["c@d.example"]
    assert server.connections == 1


async def test_told_to_end_it_settles_the_one_at_hand_and_leaves_the_others(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example", "c@d.example")

    class Ending(Outbox):
        """The daemon is told to end while an alert is being marked."""

        async def transact(self, work: Callable[..., Any], *args: Any) -> Any:
            courier.stop()
            return await super().transact(work, *args)

    courier = Ending(outbox.store, server.port).courier()
    await courier.deliver_due()
    assert await outbox.states() == [State.SENT, State.WAITING]
    assert server.recipients == ["a@b.example"]


@pytest.mark.parametrize("after_commit", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("at", range(8))
async def test_killed_at_any_step_nothing_goes_out_twice_and_nothing_is_forgotten(
    server: MailServer, outbox: Outbox, at: int, after_commit: bool
) -> None:
    everybody = ["a@b.example", "c@d.example", "e@f.example"]
    await outbox.queue(*everybody)
    outbox.dies_at, outbox.dies_after_commit = at, after_commit
    first = outbox.courier()
    try:
        await first.recover()
        await first.deliver_due()
    except Killed:
        pass
    outbox.dies_at = None
    second = outbox.courier()
    await second.recover()
    await second.deliver_due()
    went_out = Counter(server.recipients)
    for alert in await outbox.alerts():
        assert alert.state in (State.SENT, State.UNKNOWN)
        assert went_out[alert.recipient] <= 1
        if alert.state is State.SENT:
            assert went_out[alert.recipient] == 1
        else:
            assert alert.words == INTERRUPTED
    # Once: between the mark and what is written of the end. At the other steps nothing is in doubt.
    in_doubt = at > 0 and ((at % 2 == 1 and after_commit) or (at % 2 == 0 and not after_commit)) and at < 7
    assert (await outbox.states()).count(State.UNKNOWN) == int(in_doubt)


async def test_the_task_sends_when_woken_and_ends_when_told(server: MailServer, outbox: Outbox) -> None:
    courier = outbox.courier()
    task = asyncio.create_task(courier.run())
    try:
        for number, recipient in enumerate(("a@b.example", "c@d.example"), 1):
            await outbox.queue(recipient)
            courier.wake()
            async with asyncio.timeout(WITHIN_S):
                while (await outbox.states()).count(State.SENT) < number:
                    await asyncio.sleep(0.01)
        courier.stop()
        async with asyncio.timeout(WITHIN_S):
            await task
    finally:
        task.cancel()
    assert server.recipients == ["a@b.example", "c@d.example"]
    await outbox.queue("e@f.example")
    await courier.deliver_due()
    assert len(server.taken) == 2


async def test_a_mailer_that_is_cancelled_leaves_nothing_behind(server: MailServer) -> None:
    server.answer("DATA", "silence")
    mailer = a_mailer(server.port)

    async def take() -> bytes:
        return b"Subject: x\r\n\r\nx\r\n"

    sending = asyncio.create_task(mailer.send("a@b.example", take))
    async with asyncio.timeout(WITHIN_S):
        while "DATA" not in server.commands:
            await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert (await mailer.send("a@b.example", take)).outcome is Outcome.TAKEN
    assert server.connections == 2
    await mailer.rest()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate of 127.0.0.1 that nobody vouches for."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def contexts(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and that of a client that trusts it."""
    key, chain = certificate
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(chain, key)
    return served, ssl.create_default_context(cafile=chain)


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
async def test_mail_goes_over_tls_if_it_is_to(tmp_path: Path, certificate: tuple[Path, Path], tls: Tls) -> None:
    served, trusting = contexts(certificate)
    async with mail_server(tls=served, implicit=tls is Tls.IMPLICIT) as server, an_outbox(tmp_path, 0) as outbox:
        await outbox.queue("a@b.example")
        await outbox.courier(a_mailer(server.port, tls=tls)).deliver_due()
        assert (await outbox.only()).state is State.WAITING
        assert "certificate" in (await outbox.only()).words.lower()
        outbox.now += 60 * MICROS
        await outbox.courier(a_mailer(server.port, tls=tls, tls_context=trusting)).deliver_due()
        assert (await outbox.only()).state is State.SENT
        assert server.secured == 1 or tls is Tls.IMPLICIT


async def test_starttls_is_demanded_and_not_just_tried(server: MailServer, outbox: Outbox) -> None:
    await outbox.queue("a@b.example")
    await outbox.courier(a_mailer(server.port, tls=Tls.STARTTLS)).deliver_due()
    assert (await outbox.only()).state is State.WAITING
    assert server.taken == []
    assert server.commands == []


@pytest.mark.parametrize(("password", "state"), [("right", State.SENT), ("wrong", State.WAITING)])
async def test_a_login_that_is_refused_makes_alerts_wait(
    tmp_path: Path, certificate: tuple[Path, Path], password: str, state: State
) -> None:
    served, trusting = contexts(certificate)
    async with mail_server(tls=served, password="right") as server, an_outbox(tmp_path, 0) as outbox:
        await outbox.queue("a@b.example")
        mailer = a_mailer(server.port, tls=Tls.STARTTLS, tls_context=trusting, user="me", password=password)
        await outbox.courier(mailer).deliver_due()
        alert = await outbox.only()
        assert alert.state is state
        assert password not in alert.words


def test_the_words_of_a_server_are_bounded_and_printable() -> None:
    for text in ("x" * 5000, "a\r\nb\x00c"):
        assert len(_shown(text)) <= LONGEST_WORDS
        assert _shown(text).isprintable()
