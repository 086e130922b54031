"""Enrolments of a running daemon: row, audit line and the agent's mail in one transaction, and in force at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from control import audit
from control.alerts import Courier, Mailer
from control.alerts import alert_rows as alerts
from control.alerts.alert import Enrolled, EnrolmentCancelled, State
from control.enrolment import (
    EnrolmentRefused,
    Enrolments,
    Method,
    Notice,
    Scheme,
    Switches,
    enrolment_rows,
    read_bank_details,
)
from control.users import Role
from control.users.rows import insert_user, set_disabled
from mediation.schema import all_migrations
from rating.provisioning import ProvisioningError
from rating.store.sqlite import SqliteStore, open_store
from tests.builders import ACCOUNT, NOW, accounts_csv
from tests.integration.mail_server import mail_server

BOB, CARL, DORA = "4000067890", "4000067891", "4000067892"
"""Accounts of an agent without an address, of nobody who may sign in, and of no agent."""
MAILBOX: Final = "agnes@sales.example"
BANK: Final = read_bank_details(Scheme.ACH, holder="Ada Lovelace", routing="021000021", number="123456789")
WITHIN_S = 20.0


class Desk:
    """A store with agents and their accounts, and the enrolments of its daemon."""

    enrolments: Enrolments

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.now = NOW
        self.woken = 0

    async def open(self) -> None:
        await self.store.import_accounts(
            accounts_csv(
                f"{ACCOUNT},Ada Lovelace,ada@customers.example,USD,America/New_York,,standard,agnes,1",
                f"{BOB},Bob,,USD,America/New_York,,standard,anton,1",
                f"{CARL},Carl,,USD,America/New_York,,standard,stella,1",
                f"{DORA},Dora,,USD,America/New_York,,standard,,1",
            ),
            NOW,
        )
        people = (("agnes", Role.AGENT, MAILBOX), ("anton", Role.AGENT, None), ("stella", Role.STAFF, "s@s.example"))
        for name, role, email in people:
            await self.store.transact(insert_user, name, role, None, email, "no hash", NOW)
        await self.load()

    async def load(self) -> None:
        """As the daemon does when it starts."""
        self.enrolments = await Enrolments.load(self.store, lambda: self.now, self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def mails(self) -> list[tuple[str, Any]]:
        """Recipient and facts of each mail in the outbox, the oldest first."""
        found = await self.store.read(lambda cx: alerts.alerts(cx, limit=100))
        return [(alert.recipient, alert.facts) for alert in reversed(found)]

    async def audited(self) -> list[tuple[str, str, str]]:
        """Actor, action and detail of what was done, the oldest first."""
        found = await self.store.read(lambda cx: audit.entries(cx, limit=100))
        return [(entry.actor, entry.action, entry.detail) for entry in reversed(found)]

    async def notices(self, *numbers: str) -> list[Notice]:
        rows = await self.store.read(
            lambda cx: cx.execute("SELECT account, notice FROM enrolment_changes ORDER BY id").fetchall()
        )
        return [Notice(notice) for account, notice in rows if account in numbers]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await open_store(tmp_path / "tollkeeper.db", all_migrations(), NOW)
    desk = Desk(store)
    await desk.open()
    yield desk
    await store.close()


async def test_enrolling_is_in_force_at_once_written_down_and_mailed_to_the_agent(desk: Desk) -> None:
    assert not desk.enrolments.is_enrolled(ACCOUNT)
    assert await desk.enrolments.enrol(ACCOUNT, "ada")
    assert desk.enrolments.is_enrolled(ACCOUNT)
    enrolment = await desk.enrolments.of(ACCOUNT)
    assert enrolment is not None
    assert (enrolment.enrolled, enrolment.payment_method, enrolment.at, enrolment.actor) == (True, "web", NOW, "ada")
    assert await desk.audited() == [("ada", "enrol", "payment method web")]
    assert await desk.mails() == [(MAILBOX, Enrolled("agnes", NOW))]
    assert desk.woken == 1


async def test_cancelling_likewise(desk: Desk) -> None:
    await desk.enrolments.enrol(ACCOUNT, "ada")
    desk.now += 1
    assert await desk.enrolments.cancel(ACCOUNT, "stella")
    assert not desk.enrolments.is_enrolled(ACCOUNT)
    assert await desk.audited() == [("ada", "enrol", "payment method web"), ("stella", "cancel enrolment", "")]
    assert await desk.mails() == [(MAILBOX, Enrolled("agnes", NOW)), (MAILBOX, EnrolmentCancelled("agnes", NOW + 1))]


async def test_what_is_so_already_is_neither_written_nor_mailed_again(desk: Desk) -> None:
    assert not await desk.enrolments.cancel(ACCOUNT, "ada")
    outcomes = await asyncio.gather(*(desk.enrolments.enrol(ACCOUNT, "ada") for _ in range(5)))
    assert sorted(outcomes) == [False, False, False, False, True]
    assert len(await desk.mails()) == len(await desk.audited()) == 1


async def test_who_enrols_again_is_mailed_about_again(desk: Desk) -> None:
    for _ in range(2):
        await desk.enrolments.enrol(ACCOUNT, "ada")
        await desk.enrolments.cancel(ACCOUNT, "ada")
    assert [type(facts) for _, facts in await desk.mails()] == [Enrolled, EnrolmentCancelled] * 2


async def test_a_restart_knows_who_is_enrolled(desk: Desk) -> None:
    for account in (ACCOUNT, BOB):
        await desk.enrolments.enrol(account, "ada")
    await desk.enrolments.cancel(BOB, "ada")
    await desk.load()
    assert [desk.enrolments.is_enrolled(account) for account in (ACCOUNT, BOB, DORA)] == [True, False, False]


async def test_an_account_that_is_not_there_is_refused(desk: Desk) -> None:
    for change in (desk.enrolments.enrol, desk.enrolments.cancel):
        with pytest.raises(EnrolmentRefused, match="there is no account 9"):
            await change("9", "ada")
    assert not desk.enrolments.is_enrolled("9")
    assert await desk.audited() == []


@pytest.mark.parametrize(
    ("switches", "mailed"),
    [
        (Switches(on_enrolment=False), [EnrolmentCancelled]),
        (Switches(on_cancellation=False), [Enrolled]),
        (Switches(on_enrolment=False, on_cancellation=False), []),
        (Switches(), [Enrolled, EnrolmentCancelled]),
    ],
)
async def test_an_agent_gets_the_mails_that_are_on(desk: Desk, switches: Switches, mailed: list[type]) -> None:
    await desk.enrolments.set_switches("agnes", switches, "agnes")
    await desk.enrolments.enrol(ACCOUNT, "ada")
    await desk.enrolments.cancel(ACCOUNT, "ada")
    assert [type(facts) for _, facts in await desk.mails()] == mailed
    assert await desk.store.read(enrolment_rows.switches_of, "agnes") == switches
    states = [notice is Notice.MAILED for notice in await desk.notices(ACCOUNT)]
    assert states == [switches.on_enrolment, switches.on_cancellation]


async def test_a_mail_that_is_switched_on_again_comes_again(desk: Desk) -> None:
    for on in (False, True):
        await desk.enrolments.set_switches("agnes", Switches(on_enrolment=on), "agnes")
        await desk.enrolments.enrol(ACCOUNT, "ada")
        await desk.enrolments.cancel(ACCOUNT, "ada")
    assert await desk.notices(ACCOUNT) == [Notice.OFF, Notice.MAILED, Notice.MAILED, Notice.MAILED]


async def test_why_nobody_is_told_is_written_down(desk: Desk) -> None:
    for account in (BOB, CARL, DORA):
        await desk.enrolments.enrol(account, "somebody")
    assert await desk.notices(BOB, CARL, DORA) == [Notice.NO_ADDRESS, Notice.NO_USER, Notice.NO_AGENT]
    assert await desk.mails() == []


async def test_an_agent_who_may_not_sign_in_any_more_is_not_told(desk: Desk) -> None:
    await desk.store.transact(set_disabled, 1, NOW)
    await desk.enrolments.enrol(ACCOUNT, "ada")
    assert await desk.notices(ACCOUNT) == [Notice.NO_USER]
    assert await desk.mails() == []


async def test_an_agent_sees_what_is_theirs_still(desk: Desk) -> None:
    for account in (ACCOUNT, BOB):
        await desk.enrolments.enrol(account, "somebody")
    read = enrolment_rows.changes_for
    told = await desk.store.read(lambda cx: read(cx, "agnes", limit=10))
    assert [(one.change.account, one.name, one.state) for one in told] == [(ACCOUNT, "Ada Lovelace", State.WAITING)]
    moved = accounts_csv(f"{ACCOUNT},Ada Lovelace,,USD,America/New_York,,standard,anton,1")
    await desk.store.import_accounts(moved, NOW)
    assert await desk.store.read(lambda cx: read(cx, "agnes", limit=10)) == []
    assert [one.change.account for one in await desk.store.read(lambda cx: read(cx, "anton", limit=10))] == [BOB]


async def test_notices_are_read_a_page_at_a_time(desk: Desk) -> None:
    for _ in range(3):
        await desk.enrolments.enrol(ACCOUNT, "ada")
        await desk.enrolments.cancel(ACCOUNT, "ada")
    pages = [
        await desk.store.read(lambda cx, b=before: enrolment_rows.changes_for(cx, "agnes", limit=4, before=b))
        for before in (None, 3)
    ]
    assert [[one.change.id for one in page] for page in pages] == [[6, 5, 4, 3], [2, 1]]


async def test_automatic_payment_wants_a_bank_account(desk: Desk) -> None:
    with pytest.raises(EnrolmentRefused, match="enter the bank details first"):
        await desk.enrolments.enrol(ACCOUNT, "ada", Method.AUTOMATIC)
    assert not desk.enrolments.is_enrolled(ACCOUNT)
    await desk.enrolments.keep_bank_details(ACCOUNT, BANK, "ada")
    assert await desk.enrolments.enrol(ACCOUNT, "ada", Method.AUTOMATIC)
    enrolment = await desk.enrolments.of(ACCOUNT)
    assert enrolment is not None
    assert enrolment.payment_method is Method.AUTOMATIC


async def test_another_way_to_pay_is_no_enrolment(desk: Desk) -> None:
    await desk.enrolments.keep_bank_details(ACCOUNT, BANK, "ada")
    await desk.enrolments.enrol(ACCOUNT, "ada")
    desk.now += 1
    assert not await desk.enrolments.enrol(ACCOUNT, "ada", Method.AUTOMATIC)
    enrolment = await desk.enrolments.of(ACCOUNT)
    assert enrolment is not None
    assert (enrolment.payment_method, enrolment.at) == (Method.AUTOMATIC, NOW)
    assert (await desk.audited())[-1] == ("ada", "change payment method", "from web to automatic")
    assert len(await desk.mails()) == 1


async def test_without_the_bank_account_one_pays_on_the_pages_again(desk: Desk) -> None:
    await desk.enrolments.keep_bank_details(ACCOUNT, BANK, "ada")
    await desk.enrolments.enrol(ACCOUNT, "ada", Method.AUTOMATIC)
    for _ in range(2):
        await desk.enrolments.forget_bank_details(ACCOUNT, "ada")
    assert await desk.store.read(enrolment_rows.bank_details_of, ACCOUNT) is None
    enrolment = await desk.enrolments.of(ACCOUNT)
    assert enrolment is not None
    assert (enrolment.enrolled, enrolment.payment_method) == (True, Method.WEB)
    assert [action for _, action, _ in await desk.audited()] == [
        "enter bank details", "enrol", "remove bank details", "change payment method",
    ]  # fmt: skip


async def test_the_number_of_a_bank_account_is_nowhere_in_the_store(desk: Desk) -> None:
    await desk.enrolments.keep_bank_details(ACCOUNT, BANK, "ada")
    assert await desk.store.read(enrolment_rows.bank_details_of, ACCOUNT) == BANK
    dump = await desk.store.read(lambda cx: "\n".join(cx.iterdump()))
    assert "021000021" in dump
    assert "123456789" not in dump


async def test_a_file_is_imported_whole_and_says_what_changes(desk: Desk) -> None:
    await desk.enrolments.keep_bank_details(ACCOUNT, BANK, "ada")
    await desk.enrolments.enrol(ACCOUNT, "ada", Method.AUTOMATIC)
    await desk.enrolments.enrol(BOB, "bob")
    rows = f"account,enrolled\n{ACCOUNT},true\n{BOB},false\n{DORA},true\n{CARL},false\n"
    assert await desk.enrolments.import_csv(rows, "command:root") == 4
    states = [desk.enrolments.is_enrolled(account) for account in (ACCOUNT, BOB, CARL, DORA)]
    assert states == [True, False, False, True]
    enrolment = await desk.enrolments.of(ACCOUNT)
    assert enrolment is not None
    assert enrolment.payment_method is Method.AUTOMATIC  # as it was: the file does not say how they pay
    done = [(actor, action) for actor, action, _ in await desk.audited()][3:]
    assert done == [("command:root", "cancel enrolment"), ("command:root", "enrol")]
    await desk.load()
    assert [desk.enrolments.is_enrolled(account) for account in (ACCOUNT, BOB, CARL, DORA)] == states


async def test_a_file_with_one_wrong_row_changes_nothing(desk: Desk) -> None:
    await desk.enrolments.enrol(BOB, "bob")
    with pytest.raises(ProvisioningError, match="row 4, account"):
        await desk.enrolments.import_csv(f"account,enrolled\n{ACCOUNT},true\n{BOB},false\n9,true\n", "command:root")
    assert [desk.enrolments.is_enrolled(account) for account in (ACCOUNT, BOB)] == [False, True]
    assert len(await desk.audited()) == 1


async def test_the_mail_goes_out_at_once_and_names_no_account_number(desk: Desk) -> None:
    async with mail_server() as server:
        mailer = Mailer("127.0.0.1", server.port, "billing@provider.example")
        courier = Courier(desk.store, mailer, lambda: desk.now, orders_of=lambda _cx, _alert: [])
        enrolments = await Enrolments.load(desk.store, lambda: desk.now, courier.wake)
        running = asyncio.create_task(courier.run())
        try:
            await enrolments.enrol(ACCOUNT, "ada")
            await enrolments.cancel(ACCOUNT, "ada")
            async with asyncio.timeout(WITHIN_S):
                while len(server.taken) < 2:
                    await asyncio.sleep(0.01)
        finally:
            courier.stop()
            await running
    assert server.recipients == [MAILBOX, MAILBOX]
    subjects = [taken.message["Subject"] for taken in server.taken]
    assert subjects == ["Enrolled for online bills: Ada Lovelace", "Online bills cancelled: Ada Lovelace"]
    assert all(ACCOUNT not in taken.message.as_string() for taken in server.taken)
    body = server.taken[0].message.get_body(("plain",))
    assert body is not None
    assert body.get_content().startswith("Dear agnes,")
