"""Payment options, account options, and the pages of agents, on a real store."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from control.alerts import alert_rows as alerts
from control.enrolment import Method, enrolment_rows
from mediation.provisions import DirectoryBuilder
from rating.provisioning import read_accounts
from rating.store.provisioning import put_accounts
from tests.builders import accounts_csv
from tests.integration.web_control import acted_on
from tests.integration.web_site import ADA, ADAS_LINE, BOB, BOBS_LINE, Visitor, WebSite, opened

ROUTING, NUMBER = "021000021", "123456789"
EVE = "4000077777"
"""Another account of agnes', in euros and without calls."""


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        yield site


@pytest.fixture
async def ada(web: WebSite) -> Visitor:
    return await web.visitor("ada")


@pytest.fixture
async def agnes(web: WebSite) -> Visitor:
    return await web.visitor("agnes")


async def give_agnes(web: WebSite, *rows: str) -> None:
    """Put accounts into the store; the counters and the directory follow. (An import would not let one that is charged
    have another currency.)"""
    await web.store.transact(put_accounts, read_accounts(accounts_csv(*rows)), web.now)
    directory = DirectoryBuilder(None).build(await web.store.provisioned())
    web.owner.counters.follow(directory.accounts)
    web.front.directory = directory


async def address(web: WebSite, name: str, email: str) -> None:
    """Give a user an e-mail address."""
    await web.store.transact(lambda cx: cx.execute("UPDATE users SET email = ? WHERE name = ?", (email, name)) and None)


async def mails(web: WebSite) -> list[str]:
    found = await web.store.read(lambda cx: alerts.alerts(cx, limit=100))
    return [str(alert.facts.__struct_config__.tag) for alert in reversed(found)]


def shown_accounts(text: str) -> list[str]:
    return re.findall(r'href="/agent/accounts/(\d+)"', text)


async def invoice(web: WebSite, number: int, account: str, period: str, due_micros: int) -> None:
    """A bill as a bill run writes it, as far as a list tells of it."""
    values: dict[str, Any] = {
        "shard": 0, "number": number, "account": account, "name": "Ada", "period": period, "cycle_start": number,
        "cycle_end": 1, "issued_at": 1, "issued_on": f"{period}-28", "due_on": "2026-12-30", "currency": "USD",
        "decimals": 2, "previous_balance_micros": 0, "payments_micros": 0, "adjustments_micros": 0,
        "current_charges_micros": due_micros, "total_due_micros": due_micros, "calls": 0, "covers_id": 0, "entry": 1,
        "document": b"",
    }  # fmt: skip
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    sql = f"INSERT INTO bills ({columns}) VALUES ({marks})"
    await web.store.transact(lambda cx: cx.execute(sql, tuple(values.values())) and None)


# The customer.


async def test_choosing_web_payment_enrols_at_once(web: WebSite, ada: Visitor) -> None:
    assert "come on paper" in await ada.get("/payment-options")
    text = await ada.follow(await ada.post("/payment-options", choice="web"))
    assert "You are enrolled" in text
    assert "are online since 20 Nov 2026" in text
    assert web.site.enrolments.is_enrolled(ADA)
    assert not web.site.enrolments.is_enrolled(BOB)
    assert 'value="web" checked' in text
    assert "on these pages" in await ada.get("/account")


async def test_cancelling_likewise(web: WebSite, ada: Visitor) -> None:
    await ada.post("/payment-options", choice="web")
    text = await ada.follow(await ada.post("/payment-options", choice="paper"))
    assert "Your enrolment is cancelled" in text
    assert not web.site.enrolments.is_enrolled(ADA)
    assert "Saved." in await ada.follow(await ada.post("/payment-options", choice="paper"))


@pytest.mark.parametrize(("choice", "words"), [("", "choose one"), ("cash", "choose one"), ("automatic", "bank")])
async def test_what_cannot_be_chosen_is_said_in_place(web: WebSite, ada: Visitor, choice: str, words: str) -> None:
    answer = await ada.post("/payment-options", choice=choice)
    text = await answer.text()
    assert answer.status == 200
    assert re.search(rf'id="wrong-choice" role="alert">.*{words}', text)
    assert 'aria-describedby="wrong-choice"' in text
    assert not web.site.enrolments.is_enrolled(ADA)


async def test_a_bank_account_is_shown_masked_and_lets_one_pay_automatically(web: WebSite, ada: Visitor) -> None:
    fields = {"holder": "Ada Lovelace", "routing": ROUTING, "number": NUMBER}
    text = await ada.follow(await ada.post("/payment-options/bank", **fields))
    assert "•••• 6789" in text
    assert ROUTING in text
    assert NUMBER not in text
    assert "EFT" in text
    text = await ada.follow(await ada.post("/payment-options", choice="automatic"))
    assert 'value="automatic" checked' in text
    enrolment = await web.site.enrolments.of(ADA)
    assert enrolment is not None
    assert enrolment.payment_method is Method.AUTOMATIC
    text = await ada.follow(await ada.post("/payment-options/bank/remove"))
    assert "None is known" in text
    assert 'value="web" checked' in text


async def test_a_wrong_digit_is_said_in_its_field_and_what_was_typed_is_kept(web: WebSite, ada: Visitor) -> None:
    answer = await ada.post("/payment-options/bank", holder="Ada", routing="021000022", number=NUMBER)
    text = await answer.text()
    assert re.search(r'name="routing"[^>]*value="021000022"[^>]*aria-invalid="true" aria-describedby="wrong-rout', text)
    assert 'name="holder" value="Ada"' in text
    assert "check digit" in text
    assert await web.store.read(enrolment_rows.bank_details_of, ADA) is None


async def test_an_account_in_euros_has_an_iban(web: WebSite, ada: Visitor) -> None:
    await give_agnes(web, f"{ADA},Ada Lovelace,,EUR,Europe/Berlin,,,agnes,1")
    text = await ada.get("/payment-options")
    assert "IBAN" in text
    assert "Routing" not in text
    text = await ada.follow(await ada.post("/payment-options/bank", holder="Ada", iban="de89 3704 0044 0532 0130 00"))
    assert "DE•••• 3000" in text


async def test_account_options_say_who_one_is(web: WebSite, ada: Visitor, agnes: Visitor) -> None:
    text = await ada.get("/account")
    for words in ("Ada Lovelace", "ada@customers.example", "America/New_York", "on paper", "Change password"):
        assert words in text
    assert 'href="/payment-options"' in text
    await address(web, "agnes", "agnes@sales.example")
    again = await web.visitor("agnes")
    text = await again.get("/account")
    assert "agnes@sales.example" in text
    assert "/payment-options" not in text


# The agent.


async def test_an_agent_lists_the_own_accounts_with_status_balance_and_enrolment(web: WebSite, agnes: Visitor) -> None:
    await give_agnes(web, f"{EVE},Eve,,EUR,UTC,,,agnes,1")
    await acted_on(web)
    await web.site.enrolments.enrol(ADA, "ada")
    text = await agnes.get("/agent/accounts")
    assert shown_accounts(text) == [ADA, EVE]
    assert "2 of 2 accounts" in text
    assert "Bob" not in text
    row = next(part for part in text.split("<tr>") if ADA in part)
    assert "barred" in row
    assert "−1.00" in row  # she has paid 1.00, and nothing is billed
    assert "1.618" in row
    assert re.search(r"✓</span> enrolled", row)
    other = next(part for part in text.split("<tr>") if EVE in part)
    assert "in order" in other
    assert "not enrolled" in other


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([("name", "contains", "love")], [ADA]),
        ([("line", "=", ADAS_LINE)], [ADA]),
        ([("line", "=", BOBS_LINE)], []),
        ([("line", "empty", "")], [EVE]),
        ([("account", "=", BOB)], []),
        ([("status", "=", "barred")], [ADA]),
        ([("status", "=", "in order")], [EVE]),
        ([("due", "<", "0")], [ADA]),
        ([("owed", "between", "1..2")], [ADA]),
        ([("enrolment", "=", "enrolled")], [EVE]),
        ([("currency", "=", "EUR"), ("name", "begins", "e")], [EVE]),
        ([("currency", "=", "EUR"), ("enrolment", "=", "not enrolled")], []),
    ],
)
async def test_an_agent_searches(
    web: WebSite, agnes: Visitor, conditions: list[tuple[str, str, str]], found: list[str]
) -> None:
    await give_agnes(web, f"{EVE},Eve,,EUR,UTC,,,agnes,1")
    await acted_on(web)
    await web.site.enrolments.enrol(EVE, "eve")
    params = [pair for row in conditions for pair in zip(("column", "op", "value"), row, strict=True)]
    text = await agnes.get("/agent/accounts", params=params)
    assert shown_accounts(text) == found
    assert f"{len(found)} of 2 accounts" in text
    if not found:
        assert "None of your accounts matches" in text


async def test_a_search_that_means_nothing_is_refused_in_place(agnes: Visitor) -> None:
    text = await agnes.get("/agent/accounts", params=[("column", "due"), ("op", ">"), ("value", "much")])
    assert re.search(r'value="much"[^>]*aria-invalid="true" aria-describedby="wrong"', text)
    assert "Row 1" in text


async def test_none_yet_is_told_from_none_that_match(web: WebSite, agnes: Visitor) -> None:
    await give_agnes(web, f"{ADA},Ada Lovelace,,USD,America/New_York,,standard,anton,1")
    assert "No accounts yet" in await agnes.get("/agent/accounts")


async def test_long_lists_go_on_where_the_page_ended(web: WebSite, agnes: Visitor) -> None:
    numbers = [f"50000{n:05d}" for n in range(60)]
    await give_agnes(web, *(f"{number},Many,,USD,UTC,,,agnes,1" for number in numbers))
    for query in ("column=name&op==&value=many", "column=status&op==&value=in+order&column=name&op==&value=many"):
        first = await agnes.get(f"/agent/accounts?{query}")
        assert shown_accounts(first) == numbers[:50]
        assert "60 of 61 accounts" in first
        link = re.search(r'rel="next" href="([^"]+)"', first)
        assert link
        assert shown_accounts(await agnes.get(link[1].replace("&amp;", "&"))) == numbers[50:]


async def test_an_agent_drills_down_to_the_invoices(web: WebSite, agnes: Visitor) -> None:
    assert "No invoices yet" in await agnes.get(f"/agent/accounts/{ADA}")
    for number, account, period in ((7, ADA, "2026-09"), (9, ADA, "2026-10"), (8, BOB, "2026-10")):
        await invoice(web, number, account, period, 12_500_000)
    text = await agnes.get(f"/agent/accounts/{ADA}")
    assert re.findall(r'href="/invoices/(\d+)"', text) == ["9", "7"]
    assert "12.50" in text
    assert ADAS_LINE in text
    await agnes.get(f"/agent/accounts/{BOB}", 404)


async def test_an_account_that_changed_hands_is_gone_for_the_first_agent(web: WebSite, agnes: Visitor) -> None:
    await agnes.get(f"/agent/accounts/{ADA}")
    await web.site.enrolments.enrol(ADA, "ada")
    assert ADA in await agnes.get("/agent/notices")
    await give_agnes(web, f"{ADA},Ada Lovelace,,USD,America/New_York,,standard,anton,1")
    await agnes.get(f"/agent/accounts/{ADA}", 404)
    assert ADA not in await agnes.get("/agent/notices")
    assert ADA not in await agnes.get("/agent/accounts")


async def test_with_one_mail_switched_off_an_agent_gets_only_the_other(web: WebSite, agnes: Visitor) -> None:
    await address(web, "agnes", "agnes@sales.example")
    text = await agnes.follow(await agnes.post("/agent/notices", on_cancellation="yes"))
    assert "mail is sent on cancellation only" in text
    assert 'name="on_cancellation" value="yes" checked' in text
    assert 'name="on_enrolment" value="yes" checked' not in text
    await web.site.enrolments.enrol(ADA, "ada")
    await web.site.enrolments.cancel(ADA, "ada")
    assert await mails(web) == ["enrolment-cancelled"]
    text = await agnes.get("/agent/notices")
    rows = [part for part in text.split("<tr>") if "/agent/accounts/" in part]
    assert len(rows) == 2
    assert "waiting" in rows[0]
    assert "switched off" in rows[1]


async def test_an_agent_without_an_address_is_told_so(web: WebSite, agnes: Visitor) -> None:
    assert "no e-mail address, so nothing can be mailed" in await agnes.get("/agent/notices")
    await web.site.enrolments.enrol(ADA, "ada")
    assert "no e-mail address</span>" in await agnes.get("/agent/notices")
    await address(web, "agnes", "agnes@sales.example")
    text = await agnes.get("/agent/notices")
    assert "Mail to agnes@sales.example" in text
    assert "so nothing can be mailed" not in text


async def test_an_agents_switches_are_their_own(web: WebSite, agnes: Visitor) -> None:
    await agnes.post("/agent/notices")
    switches = await web.store.read(lambda cx: [enrolment_rows.switches_of(cx, n) for n in ("agnes", "anton")])
    assert [(one.on_enrolment, one.on_cancellation) for one in switches] == [(False, False), (True, True)]


async def test_the_menu_leads_an_agent_everywhere(agnes: Visitor) -> None:
    text = await agnes.get("/agent/accounts")
    assert '<a href="/agent/accounts" aria-current="page">Accounts</a>' in text
    assert '<a href="/agent/notices">Notices</a>' in text
