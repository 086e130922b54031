"""Sales representatives: their own accounts, found and each with its invoices; and the mails that they get."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from multidict import MultiMapping
from yarl import URL

from control import bars
from control.billing.bill import Bill
from control.billing.bill_rows import bills_of
from control.enrolment import Switches, enrolment_rows
from control.enrolment.enrolment import Enrolment
from control.enrolment.enrolment_rows import Told
from control.users.rows import user_named
from rating.account import Account, Line
from rating.store.account_list import lines_with_services
from web.agent_search import (
    CHOICES,
    COLUMNS,
    AgentAccount,
    Condition,
    SearchRefused,
    matching,
    parse,
    rows_of,
    sentence,
)
from web.ownership import accounts_of_agent, visible_account
from web.pages.calls import OPERATOR_WORDS
from web.rendering import render
from web.request import principal_of, typed_form
from web.routing import AGENT, Route
from web.site import Site
from web.usage import usage_of

ROWS: Final = 50
INVOICES: Final = 24
NOTICES: Final = 50
OPERATORS: Final = ("contains", "begins", "=", "!=", ">", ">=", "<", "<=", "between", "empty")


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of an agent's accounts."""

    accounts: list[AgentAccount]
    matching: int
    next: str | None
    """The number after which the next page begins."""


class AgentPages:
    """`/agent/accounts`, `/agent/notices`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What these pages serve."""
        one = "/agent/accounts/{account}"
        return (
            Route("GET", "/agent/accounts", self._list, AGENT, "The agent's own accounts, searched"),
            Route("GET", one, self._one, AGENT, "An account of the agent's, with its invoices", owned="account"),
            Route("GET", "/agent/notices", self._notices, AGENT, "Enrolments, cancellations, and the mails about them"),
            Route("POST", "/agent/notices", self._switch, AGENT, "Switch each of the two mails on or off"),
        )

    # Accounts.

    async def _list(self, request: web.Request) -> web.StreamResponse:
        own = accounts_of_agent(self._site, principal_of(request).name)
        rows, after = rows_of(request.query), request.query.get("after", "")[:100]
        refused, conditions, listed = None, list[Condition](), None
        try:
            conditions = parse(rows)
            listed = await self._found(own, conditions, after)
        except SearchRefused as error:
            refused = error
        here = request.rel_url.without_query_params("after")
        context = {
            "listed": listed,
            "all": len(own),
            "words": "" if refused else sentence(conditions, rows, OPERATOR_WORDS),
            "rows": [*rows, ("", "contains", "")],
            "refused": refused,
            "columns": COLUMNS,
            "operators": {op: OPERATOR_WORDS[op] for op in OPERATORS},
            "choices": [choice for choices, _ in CHOICES.values() for choice in choices],
            "first_page": here if after else None,
            "next_page": here.update_query(after=listed.next) if listed and listed.next else None,
        }
        return render(request, "agent_accounts.html", context)

    async def _found(self, own: Sequence[Account], conditions: list[Condition], after: str) -> Listed:
        """Those that fulfil the conditions, a page of them; what has to be looked up is looked up for as few as may
        be."""
        some = [account for account in own if matching(conditions, account)]
        rest = [condition for condition in conditions if not condition.is_provisioned]
        number = len(some)
        if rest:
            with_lines = any(condition.column == "line" for condition in rest)
            known = await self._as_of_now(some, with_lines=with_lines)
            known = [one for one in known if all(condition.of(one) for condition in rest)]
            number = len(known)
            page = [one for one in known if one.used.account.account > after][: ROWS + 1]
        else:
            page = await self._as_of_now([one for one in some if one.account > after][: ROWS + 1])
        more = page[ROWS - 1].used.account.account if len(page) > ROWS else None
        return Listed(page[:ROWS], number, more)

    async def _as_of_now(self, accounts: Sequence[Account], *, with_lines: bool = False) -> list[AgentAccount]:
        numbers = [account.account for account in accounts]
        barred, lines = await self._site.readers.read(_barred_and_lines, numbers, with_lines)
        return [
            AgentAccount(
                usage_of(self._site, account),
                self._site.exposure.balance_due(account.account),
                self._site.enrolments.is_enrolled(account.account),
                account.account in barred,
                lines.get(account.account, ()),
            )
            for account in accounts
        ]

    async def _one(self, request: web.Request) -> web.StreamResponse:
        account = visible_account(self._site, request)
        seen = await self._site.readers.read(_account_with_invoices, account.account, _before(request.query))
        (one,) = await self._as_of_now([account])
        here = URL(f"/agent/accounts/{account.account}")
        more = len(seen.invoices) > INVOICES
        context = {
            "account": account,
            "one": one,
            "enrolment": seen.enrolment,
            "lines": seen.lines,
            "barred": seen.barred,
            "invoices": seen.invoices[:INVOICES],
            "next_page": here.with_query(before=seen.invoices[INVOICES - 1].number) if more else None,
            "first_page": here if "before" in request.query else None,
        }
        return render(request, "agent_account.html", context)

    # Mails.

    async def _notices(self, request: web.Request) -> web.StreamResponse:
        name, before = principal_of(request).name, _before(request.query)
        switches, address, told = await self._site.readers.read(_switches_and_notices, name, before)
        context = {
            "switches": switches,
            "address": address,
            "notices": told[:NOTICES],
            "is_saved": request.query.get("done") == "saved",
            "next_page": URL("/agent/notices").with_query(before=told[NOTICES - 1].change.id)
            if len(told) > NOTICES
            else None,
            "first_page": "/agent/notices" if before is not None else None,
        }
        return render(request, "agent_notices.html", context)

    async def _switch(self, request: web.Request) -> web.StreamResponse:
        form, principal = await typed_form(request), principal_of(request)
        switches = Switches("on_enrolment" in form, "on_cancellation" in form)
        await self._site.enrolments.set_switches(principal.name, switches, principal.actor)
        raise web.HTTPSeeOther("/agent/notices?done=saved")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is stored of an account, as its agent sees it."""

    lines: list[Line]
    barred: list[bars.Reason]
    enrolment: Enrolment | None
    invoices: list[Bill]


def _account_with_invoices(cx: sqlite3.Connection, account: str, before: int | None) -> Seen:
    """One read: each waits for a connection, its thread and the event loop."""
    return Seen(
        lines_with_services(cx, account),
        bars.open_of_account(cx, account),
        enrolment_rows.enrolment_of(cx, account),
        bills_of(cx, account, limit=INVOICES + 1, before=before),
    )


def _barred_and_lines(
    cx: sqlite3.Connection, accounts: Sequence[str], with_lines: bool
) -> tuple[set[str], dict[str, tuple[str, ...]]]:
    barred = {account for account in accounts if bars.open_of_account(cx, account)}
    if not with_lines:
        return barred, {}
    return barred, {number: tuple(line.line for line in lines_with_services(cx, number)) for number in accounts}


def _switches_and_notices(
    cx: sqlite3.Connection, agent: str, before: int | None
) -> tuple[Switches, str | None, list[Told]]:
    user = user_named(cx, agent)
    told = enrolment_rows.changes_for(cx, agent, limit=NOTICES + 1, before=before)
    return enrolment_rows.switches_of(cx, agent), user.email if user else None, told


def _before(query: MultiMapping[str]) -> int | None:
    text = query.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
