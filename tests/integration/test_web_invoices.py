"""Invoices through the API: who sees them, and what a customer can pay on them, however often it is sent."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientError

from control.ledger import ledger_differences
from control.ledger.postings import unbalanced
from control.payments.payment import State
from control.users import Role
from rating.cdr import MICROS
from tests.integration.invoice_site import AT_ONCE, InvoiceSite, with_invoices
from tests.integration.web_site import ADA, BOB, Visitor

SUBMITS: Final = int(os.environ.get("TOLLKEEPER_DOUBLE_SUBMITS", "400"))
SEED: Final = int(os.environ.get("TOLLKEEPER_DOUBLE_SUBMITS_SEED", "5"))
INVOICES: Final = "/api/v1/invoices"
PAY: Final = f"{INVOICES}/2/payments"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[InvoiceSite]:
    async with with_invoices(tmp_path) as site:
        yield site


@pytest.fixture
async def ada(site: InvoiceSite) -> Visitor:
    return await site.program(Role.CUSTOMER, ADA)


async def pay(who: Visitor, key: str, body: object = None, *, status: int = 202, invoice: int = 2) -> dict[str, Any]:
    path = f"{INVOICES}/{invoice}/payments"
    answer: dict[str, Any] = await who.send(
        path, {} if body is None else body, status=status, **{"Idempotency-Key": key}
    )
    return answer


class TestPaying:
    async def test_what_is_due_less_the_discount_is_paid(self, site: InvoiceSite, ada: Visitor) -> None:
        paid = await pay(ada, "k1")
        assert paid == {"payment": paid["payment"], "state": "accepted"}
        assert isinstance(paid["payment"], int)
        (found,) = [one for one in (await ada.json(f"/api/v1/accounts/{ADA}/payments"))["items"] if one["invoice"]]
        assert (found["payment"], found["amount"], found["kind"]) == (paid["payment"], "147.00", "payment")
        assert (found["invoice"], found["state"], found["by"]) == (2, "requested", None)
        assert site.due == 0
        assert (await ada.json(f"/api/v1/accounts/{ADA}"))["balance_due"] == "0.00"

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"amount":null}', b'{"amount":"147.00","currency":"USD"}'])
    async def test_without_an_amount_everything_is_meant(self, site: InvoiceSite, ada: Visitor, body: bytes) -> None:
        await pay(ada, "k1", body)
        assert site.due == 0

    async def test_every_reason_is_told_in_a_problem(self, site: InvoiceSite, ada: Visitor) -> None:
        async def why(key: str, body: object = None) -> str:
            said = await pay(ada, key, body, status=409)
            assert (said["status"], said["title"]) == (409, "Conflict")
            assert said["detail"]
            return str(said["reason"])

        assert await why("k1", {"amount": "147.01"}) == "over-amount"
        await pay(ada, "k2")
        assert await why("k3") == "payment-pending"
        await site.move(2, State.BATCHED, State.SUBMITTED, State.SETTLED)
        assert await why("k4") == "zero-balance"
        await site.ledger.credit(ADA, MICROS, "USD", actor="stella", key="goodwill")
        assert await why("k5") == "credit-balance"
        answer = await ada.client.post(PAY, data=b"{}", headers={"Idempotency-Key": "k6"})
        assert answer.content_type == "application/problem+json"
        whole = await ada.json(f"{INVOICES}/2")
        assert [one["reason"] for one in whole["attempts"] if one["state"] == "refused"] == [
            "credit-balance", "credit-balance", "zero-balance", "payment-pending", "over-amount",
        ]  # fmt: skip

    async def test_a_key_is_answered_as_the_first_time_and_taken_by_another_request(
        self, site: InvoiceSite, ada: Visitor
    ) -> None:
        over = await pay(ada, "k0", {"amount": "500"}, status=409)
        first = await pay(ada, "k1", {"amount": "10.00"})
        assert await pay(ada, "k1", {"amount": "10"}) == first
        assert (await pay(ada, "k1", {"amount": "11.00"}, status=409))["reason"] == "key"
        assert (await pay(ada, "k1", {"amount": "10.00"}, status=409, invoice=1))["reason"] == "key"
        await site.move(2, State.CANCELLED)
        assert await pay(ada, "k1", {"amount": "10.00"}) == first
        assert await pay(ada, "k0", {"amount": "500"}, status=409) == over
        assert site.due == 150 * MICROS

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ({"amount": "0"}, 422, "must be above zero"),
            ({"amount": "-1"}, 422, "amount:"),
            ({"amount": "1e3"}, 422, "amount:"),
            ({"amount": "1.005"}, 422, "amount: the amount has more decimals than USD has: write at most 2"),
            ({"amount": "150.000001"}, 422, "more decimals than USD has"),
            ({"amount": 5}, 422, "amount:"),
            ({"amount": "1.00", "currency": "EUR"}, 422, "USD"),
            ({"amonut": "1.00"}, 422, "there is no field"),
            (b"{", 400, "not JSON"),
        ],
    )
    async def test_what_means_nothing_is_refused_in_words(
        self, site: InvoiceSite, ada: Visitor, body: object, status: int, words: str
    ) -> None:
        assert words in (await pay(ada, "k1", body, status=status))["detail"]
        assert (site.due, site.rows("SELECT * FROM payments")) == (150 * MICROS, [])

    async def test_a_key_is_needed(self, site: InvoiceSite, ada: Visitor) -> None:
        assert "Idempotency-Key" in (await ada.send(PAY, {}, status=400))["detail"]
        assert "printable" in (await pay(ada, "k" * 256, status=422))["detail"]
        assert site.due == 150 * MICROS


class TestSeeing:
    async def test_an_invoice_has_its_figures_its_calls_and_how_it_stands(
        self, site: InvoiceSite, ada: Visitor
    ) -> None:
        whole = await ada.json(f"{INVOICES}/2")
        figures = {name: whole[name] for name in ("invoice", "account", "period", "issued_on", "due_on", "total_due")}
        assert figures == {
            "invoice": 2, "account": ADA, "period": "2026-10", "issued_on": "2026-11-20", "due_on": "2026-12-20",
            "total_due": "150.00",
        }  # fmt: skip
        assert (whole["previous_balance"], whole["current_charges"], whole["balance_due"]) == (
            "100.00",
            "50.00",
            "150.00",
        )
        assert whole["discount"] == {"amount": "1.00", "first_on": "2026-11-20", "last_on": "2026-11-30", "rule": 1}
        assert whole["payable"] == {
            "amount": "147.00", "discount": "3.00", "discount_until": "2026-11-30", "reason": None, "words": "",
        }  # fmt: skip
        (section,) = whole["sections"]
        (line,) = section["lines"]
        (call,) = line["calls"]
        assert (section["provider"], section["charges"], line["line"]) == ("Transcontinental", "50.00", "+12125550142")
        assert (call["answer"], call["duration"], call["charge"]) == ("2026-10-01T00:00:00-04:00", 61, "50.00")
        assert (await ada.json(f"{INVOICES}/1"))["payable"] == whole["payable"]
        assert whole["attempts"] == []
        await pay(ada, "k1")
        again = await ada.json(f"{INVOICES}/2")
        assert {name for name in whole if whole[name] != again[name]} == {"balance_due", "payable", "attempts"}
        assert again["payable"]["reason"] == "payment-pending"
        assert [(one["state"], one["amount"], one["by"]) for one in again["attempts"]] == [
            ("requested", "147.00", None)
        ]

    async def test_staff_are_told_who_paid(self, site: InvoiceSite, ada: Visitor) -> None:
        await pay(ada, "k1")
        stella = await site.program(Role.STAFF)
        (attempt,) = (await stella.json(f"{INVOICES}/2"))["attempts"]
        assert attempt["by"] == f"token:a program of customer {ADA}"

    async def test_the_invoices_of_an_account_are_listed_the_newest_first_by_pages(self, site: InvoiceSite) -> None:
        stella = await site.program(Role.STAFF)
        page = await stella.json(f"{INVOICES}?account={ADA}&limit=1")
        assert ([one["invoice"] for one in page["items"]], page["next"]) == ([2], "2")
        page = await stella.json(f"{INVOICES}?account={ADA}&limit=1&after=2")
        assert ([one["invoice"] for one in page["items"]], page["next"]) == ([1], None)
        assert [one["invoice"] for one in (await stella.json(INVOICES))["items"]] == [3, 2, 1]
        assert [one["invoice"] for one in (await stella.json(f"{INVOICES}?after=3&limit=1"))["items"]] == [2]

    async def test_a_customer_sees_the_own_ones_and_only_when_enrolled(self, site: InvoiceSite, ada: Visitor) -> None:
        async def listed(query: str = "") -> list[int]:
            return [one["invoice"] for one in (await ada.json(INVOICES + query))["items"]]

        assert (await listed(), await listed(f"?account={ADA}")) == ([2, 1], [2, 1])
        assert (await listed(f"?account={BOB}"), await listed("?account=nobody")) == ([], [])
        missing = await ada.json(f"{INVOICES}/9", status=404)
        assert await ada.json(f"{INVOICES}/3", status=404) == missing
        assert await pay(ada, "k1", status=404, invoice=3) == missing
        await site.cancel(ADA)
        assert await listed() == []
        assert await ada.json(f"{INVOICES}/2", status=404) == missing
        assert await pay(ada, "k1", status=404) == missing
        assert site.rows("SELECT * FROM payments") == []

    async def test_an_agent_sees_those_of_the_own_accounts_enrolled_or_not(self, site: InvoiceSite) -> None:
        await site.cancel(ADA)
        agnes, other = await site.program(Role.AGENT, name="agnes"), await site.program(Role.AGENT, name="agatha")
        assert (await agnes.json(f"{INVOICES}/2"))["invoice"] == 2
        for query in ("", f"?account={ADA}"):
            assert [one["invoice"] for one in (await agnes.json(INVOICES + query))["items"]] == [2, 1]
        assert (await other.json(INVOICES))["items"] == []
        await agnes.json(f"{INVOICES}/3", status=404)
        await other.json(f"{INVOICES}/2", status=404)
        assert (await other.json(f"{INVOICES}?account={ADA}"))["items"] == []

    @pytest.mark.parametrize("role", [Role.AGENT, Role.STAFF, Role.AUDITOR, Role.OPERATOR])
    async def test_only_customers_pay(self, site: InvoiceSite, role: Role) -> None:
        who = await site.program(role, name="agnes")
        await pay(who, "k1", status=403)
        assert site.due == 150 * MICROS


class TestTogether:
    """So many submits that answers are lost among them, 50 at a time."""

    async def submit(self, ada: Visitor, key: str, leaves_after: int | None) -> int:
        """The status of a submit; 0 where who sent it went away before it was answered, after so many turns."""
        sending = asyncio.create_task(ada.client.post(PAY, data=b"{}", headers={"Idempotency-Key": key}))
        if leaves_after is not None:
            for _ in range(leaves_after):
                await asyncio.sleep(0)
            sending.cancel()
        try:
            return (await sending).status
        except (asyncio.CancelledError, ClientError):
            return 0

    async def test_double_submits_pay_once_by_one_key_and_by_many(self, site: InvoiceSite, ada: Visitor) -> None:
        chance = random.Random(SEED)
        keys = ["double click", *(f"another {n}" for n in range(20))]
        asked = [(chance.choice(keys) if chance.random() < 0.7 else f"own {n}") for n in range(SUBMITS)]
        turn, statuses = asyncio.Semaphore(AT_ONCE), Counter[int]()

        async def one(key: str) -> None:
            async with turn:
                statuses[await self.submit(ada, key, chance.randint(1, 40) if chance.random() < 0.1 else None)] += 1

        await asyncio.gather(*map(one, asked))
        assert set(statuses) <= {0, 202, 409}
        assert statuses[0]
        assert statuses[409] > SUBMITS // 4
        by_state = Counter(state for (state,) in site.rows("SELECT state FROM payments"))
        assert by_state[State.REQUESTED] == 1
        assert by_state.keys() == {State.REQUESTED, State.REFUSED}
        ((key,),) = site.rows("SELECT idempotency_key FROM payments WHERE state = 'requested'")
        (entry,) = {(await pay(ada, key))["payment"] for _ in range(3)}
        assert site.rows("SELECT id FROM ledger_entries WHERE kind = 'payment'") == [(entry,)]
        assert site.rows("SELECT count(*) FROM ledger_entries WHERE kind = 'discount'") == [(1,)]
        assert site.due == 0

    async def test_payments_that_race_other_changes_make_no_credit(self, site: InvoiceSite, ada: Visitor) -> None:
        """Staff's credits may make one; a customer's payment that is accepted never does."""
        chance, turn = random.Random(SEED), asyncio.Semaphore(AT_ONCE)
        stella = await site.program(Role.STAFF)

        async def one(n: int) -> None:
            async with turn:
                units = f"{chance.randint(1, 9)}.00"
                match chance.randrange(6):
                    case 0:
                        await site.ledger.credit(ADA, chance.randint(1, 9) * MICROS, "USD", actor="stella", key=f"c{n}")
                    case 1:
                        await stella.client.post(f"/api/v1/accounts/{ADA}/payments", json={"amount": units})
                    case 2:
                        for waiting in await site.payments.waiting(limit=1):
                            await site.payments.move(waiting.id, State.CANCELLED, actor="stella")
                    case _:
                        body = {"amount": units} if chance.random() < 0.9 else {}
                        await ada.client.post(PAY, json=body, headers={"Idempotency-Key": f"p{n}"})

        await asyncio.gather(*map(one, range(min(SUBMITS, 2_000))))
        owed = 0
        for actor, kind, amount in site.rows(
            "SELECT e.actor, e.kind, p.amount_micros FROM ledger_entries e JOIN ledger_postings p ON p.entry = e.id"
            f" WHERE p.book = 'receivable' AND e.account = '{ADA}' ORDER BY e.id"
        ):
            owed += amount
            by_customer = actor == f"token:a program of customer {ADA}" and kind in ("payment", "discount")
            assert owed >= 0 or not by_customer, "a customer's payment made a credit"
        assert owed == site.due
        assert await site.web.store.read(unbalanced) == []
        assert await site.web.store.read(ledger_differences, site.ledger.balances.all()) == []
