"""The scripted story, each step of it observed and not assumed: on the pages' side by the API, at the switch, in the
customer's mailbox."""

import asyncio
import contextlib
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain
from pathlib import Path
from typing import Any, Final

from control.users import Role
from mediation.demo import script
from mediation.demo.billing import bill_run
from mediation.demo.feeding import STORY_CALLS, reporting, send, some
from mediation.demo.mailbox import Letter, Mailbox
from mediation.demo.site import PASSWORD, POPS, DemoSite, Say, demo_site
from mediation.demo.telling import Awaiting, Told, tell_steps
from mediation.demo.visitor import Visitor, visiting
from simulators import pacing
from simulators.call_records import Record
from simulators.courier import Totals
from simulators.exchange import CUT, REFUSED, Call, Exchange
from simulators.sip_switch import SIPSwitch

STEPS: Final = ("calls", "rated", "limit", "bar", "mail", "bill", "refused")
"""The contract's story."""
_NOT_AVAILABLE: Final = "Payment Not Available"
_LIVE, _NEXT = "story-live", "story-next"
_PAGE: Final = 200
_CONFLICT, _ACCEPTED = 409, 202


async def tell(directory: Path, say: Say, within_s: float) -> Told:
    """Play it; what was observed, in order. A step that takes longer than `within_s` is not."""
    exchange, mailbox = Exchange(), Mailbox(directory / "mail")
    async with contextlib.AsyncExitStack() as stack:
        switch_url = await stack.enter_async_context(SIPSwitch(exchange).listening())
        smtp = await stack.enter_async_context(mailbox.listening())
        site = await stack.enter_async_context(demo_site(directory, say, switch_url=switch_url, smtp=smtp))
        url = site.addresses["web"]
        staff, customer = [
            await stack.enter_async_context(visiting(url, site.tokens[role])) for role in (Role.STAFF, Role.CUSTOMER)
        ]
        person = await stack.enter_async_context(visiting(url))
        story = _Story(site, exchange, mailbox, staff, customer, person, stack)
        plays = (story.calls, story.rated, story.limit, story.bar, story.mail, story.bill, story.refused)
        return await tell_steps(list(zip(STEPS, plays, strict=True)), story.awaiting, say, within_s)


class _Story:
    """The steps, and what they found for those that follow."""

    def __init__(
        self,
        site: DemoSite,
        exchange: Exchange,
        mailbox: Mailbox,
        staff: Visitor,
        customer: Visitor,
        person: Visitor,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        """`staff` and `customer` are programs with tokens, `person` is the customer at a browser; `stack` ends what
        steps begin."""
        self.awaiting = Awaiting()
        self._site, self._exchange, self._mailbox = site, exchange, mailbox
        self._staff, self._customer, self._person, self._stack = staff, customer, person, stack
        self._switch = _Ends()
        exchange.watch(self._switch)
        self._who = site.customer
        self._line = site.customer.lines[0].number
        self._cycle = script.cycle_before(site.customer, datetime.now(UTC))
        self._sent: list[Totals] = []
        self._charges = Decimal(0)
        """Of the cycle before."""
        self._firing = 0

    async def calls(self) -> str:
        """The POPs send what was called: by everybody just now, by the customer in the bill cycle before."""
        site, awaiting = self._site, self.awaiting
        before = script.calls_before(self._who, self._cycle, POPS[0])
        awaiting.words = "the acknowledgement of every call record"
        shares = [(name, some(lines, name)) for name, lines in site.shares(besides=self._line)]
        also = {POPS[0]: pacing.at_once(before)}
        pops = await asyncio.gather(
            *(send(site, name, chain(also.get(name, ()), calls)) for name, calls in shares),
        )
        self._sent = [pop.totals for pop in pops]
        taken = sum(totals.accepted + totals.suspended for totals in self._sent)
        sent = len(before) + STORY_CALLS * len(POPS)
        awaiting.make_sure(f"{sent} call records acknowledged, not {taken}", holds=taken == sent)
        return f"{taken} call records were sent by {' and '.join(POPS)}, and acknowledged"

    async def rated(self) -> str:
        """Each is a transaction with its charge."""
        accepted, awaiting = sum(totals.accepted for totals in self._sent), self.awaiting
        awaiting.words = "the transactions, from the API"
        count = await self._transactions()
        awaiting.make_sure(f"{accepted} transactions, not {count}", holds=count == accepted)
        own = (await self._customer.get("/api/v1/transactions", limit=_PAGE))["items"]
        are_rated = len(own) == script.CALLS_BEFORE and all(
            call["tariff"] and Decimal(call["charge"]) > 0 for call in own
        )
        awaiting.make_sure(f"{script.CALLS_BEFORE} calls of the customer, each with its charge", holds=are_rated)
        self._charges = sum((Decimal(call["charge"]) for call in own), Decimal(0))
        return (
            f"{count} transactions have their charges; {self._who.name} called for {self._charges:.2f} in the bill"
            " cycle before this one"
        )

    async def limit(self) -> str:
        """The customer calls for more than they may owe, and goes on calling."""
        now = datetime.now(UTC)
        account = self._who.account
        await self._stack.enter_async_context(reporting(self._site, POPS[0], self._exchange))
        for begins_at, plan in script.long_calls(self._who, now, POPS[0]):
            self._exchange.place(plan, begins_at)
        self._exchange.advance(now)
        self._exchange.place(script.endless_call(self._who, POPS[0], _LIVE), now)
        firing = await self.awaiting.until(
            "the firing of the account event over the credit limit",
            lambda: self._newest(f"/api/v1/firings?account={account}"),
        )
        self._firing = firing["id"]
        fired_by = (await self._staff.get(f"/api/v1/transactions/{firing['transaction']}"))["transaction"]
        answered = datetime.fromisoformat(fired_by["answer"])
        self.awaiting.make_sure("a firing by a call of this bill cycle", holds=answered >= self._cycle.end)
        stands = await self._staff.get(f"/api/v1/accounts/{account}")
        owes, limit = Decimal(stands["exposure"]), Decimal(stands["credit_limit"])
        self.awaiting.make_sure(f"more owed than the credit limit of {limit:.2f}, not {owes:.2f}", holds=owes > limit)
        return (
            f"{self._who.name} owes {owes:.2f}, and the limit is {limit:.2f}: firing {self._firing}, by transaction"
            f" {firing['transaction']}"
        )

    async def bar(self) -> str:
        """The switch bars the line: what it has going on ends, and its next call fails."""
        awaiting = self.awaiting
        order = await awaiting.until("the bar, confirmed at the switch", self._confirmed)
        awaiting.make_sure(f"{self._line} in the switch's table", holds=self._line in self._exchange.barred)
        await awaiting.until("the end of the call that was going on", lambda: self._switch.cause_of(_LIVE))
        cut = self._switch.causes[_LIVE]
        awaiting.make_sure(f"that call cut off by the switch, not ended with cause {cut}", holds=cut == CUT)
        self._exchange.place(script.endless_call(self._who, POPS[0], _NEXT), datetime.now(UTC))
        awaiting.make_sure(
            "the next call of the line, refused at the switch", holds=self._switch.causes.get(_NEXT) == REFUSED
        )
        return f"order {order['id']} is confirmed: a call of {self._line} was cut off, and the next one failed"

    async def mail(self) -> str:
        """The customer is told."""
        letter = await self.awaiting.until("a mail that tells the customer of the bar", self._letter)
        await self.awaiting.until("that alert, recorded as sent", self._alert)
        return f"{letter.recipient} was sent {letter.subject!r}"

    async def bill(self) -> str:
        """The bill cycle before is billed, and the customer finds the invoice."""
        awaiting, account = self.awaiting, self._who.account
        awaiting.words = f"the bill run of {self._cycle.period}"
        ran = await bill_run(self._site.config, "--period", self._cycle.period, "--account", account)
        awaiting.make_sure(f"one bill, not {ran['bills']}", holds=ran["bills"] == 1)
        awaiting.words = "the invoice, shown to the customer"
        found = (await self._customer.get("/api/v1/invoices"))["items"]
        awaiting.make_sure("one invoice of the customer", holds=len(found) == 1)
        self._invoice = found[0]
        number, total = self._invoice["invoice"], Decimal(self._invoice["total_due"])
        says = self._invoice["calls"], Decimal(self._invoice["current_charges"]), total
        payable = self._charges.quantize(Decimal("0.01"), ROUND_HALF_UP)
        awaiting.make_sure(
            f"{script.CALLS_BEFORE} calls for {self._charges} on invoice {number}, not {says[0]} for {says[1]}",
            holds=says == (script.CALLS_BEFORE, self._charges, payable),
        )
        return (
            f"invoice {number} of {self._cycle.period}: {says[0]} calls, {total:.2f} due by {self._invoice['due_on']}"
        )

    async def refused(self) -> str:
        """The customer pays, and cannot pay again."""
        awaiting, number = self.awaiting, self._invoice["invoice"]
        awaiting.words = f"the payment of invoice {number}, accepted"
        path = f"/api/v1/invoices/{number}/payments"
        paid = await self._customer.post(path, {}, **{"Idempotency-Key": "the first payment"})
        awaiting.make_sure(f"{awaiting.words}, not {paid.status} {paid.text}", holds=paid.status == _ACCEPTED)
        awaiting.words = "a second payment, refused with its reason"
        again = await self._customer.post(path, {}, **{"Idempotency-Key": "a second payment"})
        problem = again.json
        is_refused = again.status == _CONFLICT and bool(problem.get("reason"))
        awaiting.make_sure(f"{awaiting.words}, not {again.status} {again.text}", holds=is_refused)
        awaiting.words = f"the page {_NOT_AVAILABLE}"
        await self._person.sign_in("customer", PASSWORD)
        page = await self._person.page(f"/invoices/{number}/pay")
        awaiting.make_sure(awaiting.words, holds=_NOT_AVAILABLE in page)
        return f"payment {paid.json['payment']} was accepted; a second one: {problem['reason']}, {problem['detail']}"

    async def _transactions(self) -> int:
        """How many there are, page by page."""
        count = 0
        query: dict[str, str] = {}
        while True:
            page = await self._staff.get("/api/v1/transactions", limit=_PAGE, **query)
            count += len(page["items"])
            if page["next"] is None:
                return count
            query = {"after": page["next"]}

    async def _newest(self, path: str) -> dict[str, Any] | None:
        items = (await self._staff.get(path))["items"]
        return items[0] if items else None

    async def _confirmed(self) -> dict[str, Any] | None:
        orders = (await self._staff.get("/api/v1/access-orders", account=self._who.account))["items"]
        own = [order for order in orders if order["line"] == self._line and order["action"] == "bar"]
        return own[0] if own and all(order["state"] == "confirmed" for order in own) else None

    async def _letter(self) -> Letter | None:
        letters = self._mailbox.to(self._who.email)
        return letters[0] if letters else None

    async def _alert(self) -> bool:
        alerts = (await self._staff.get("/api/v1/alerts", account=self._who.account))["items"]
        return any(
            (alert["about"], alert["firing"], alert["state"]) == ("bar-confirmed", self._firing, "sent")
            for alert in alerts
        )


class _Ends:
    """How calls ended at the switch."""

    def __init__(self) -> None:
        self.causes: dict[str, int] = {}
        """By session."""

    async def cause_of(self, session: str) -> int | None:
        """Once it is over."""
        return self.causes.get(session)

    def answered(self, call: Call) -> None:
        """It goes on."""

    def ended(self, call: Call, record: Record) -> None:
        """It is over, or failed at once."""
        self.causes[call.session] = record["cause"]
