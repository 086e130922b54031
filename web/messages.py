"""Messages that people and programs send to a POP feed's listener with an API token: searches, and bill runs."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from aiohttp import web

from control.billing.cycles import parse_period
from control.users import Principal, Role
from mediation.feeds.pop import Envelope, Take
from mediation.feeds.problems import json_response, problem
from rating.search.conditions import SearchError
from web.routing import CALLS
from web.searching import MOST_ROWS, ROWS, Asked, reach_of, search
from web.site import Site

OrderRun = Callable[[str, str | None, str], Awaitable[str | None]]
"""Orders a bill run: of a period, of one account or all, in somebody's name; its id, None if too many wait."""
COME_AGAIN_S: Final = 30


class Messages:
    """Answers whoever has an API token."""

    def __init__(self, site: Site, order_run: OrderRun) -> None:
        self._site, self._order_run = site, order_run

    def taker(self, token: str) -> Take | None:
        """Who answers the messages of a token; None for one that is not in force."""
        principal = self._site.users.by_token(token) if token else None
        return None if principal is None else partial(self._answer, principal)

    async def _answer(self, principal: Principal, message: Envelope) -> web.Response:
        match message.kind:
            case "search":
                return await self._search(principal, message)
            case "batch" if principal.role is Role.STAFF:
                return await self._batch(principal, message)
            case "batch" | "transaction":
                who = "staff" if message.kind == "batch" else "a source, with its own token,"
                return problem(403, f"role {principal.role} may not send {message.kind!r}, only {who} may")
        return problem(422, f"kind {message.kind!r} is unknown: send transaction, batch or search")

    async def _search(self, principal: Principal, message: Envelope) -> web.Response:
        if principal.role not in CALLS:
            return problem(403, f"role {principal.role} may not search: staff may, and a customer on the own lines")
        if message.where is None:
            return problem(422, 'a search has its conditions in "where", as [[column, operator, value]…]')
        limit = ROWS if message.limit is None else message.limit
        if not 1 <= limit <= MOST_ROWS:
            return problem(422, f"limit: {limit} is no number of rows; write 1 to {MOST_ROWS}")
        asked = Asked(tuple(message.where), "", message.after or None, limit)
        try:
            found = await search(self._site, reach_of(self._site, principal), asked)
        except SearchError as error:
            return problem(422, str(error))
        return json_response({"items": found.page.rows, "next": found.page.next})

    async def _batch(self, principal: Principal, message: Envelope) -> web.Response:
        """A bill run is begun, not waited for: what it issued is on the pages and in the log."""
        account = None if message.account is None else str(message.account)
        if message.period is None:
            return problem(422, 'a batch has the month in which the cycle begins in "period", as "2026-10"')
        try:
            period = parse_period(message.period)
        except ValueError as error:
            return problem(422, f"period: {error}")
        if account is not None and account not in self._site.directory.accounts:
            return problem(422, f"account: there is no account {account}: mind the number, or leave it out for all")
        run = await self._order_run(period, account, principal.actor)
        if run is None:
            again = {"Retry-After": str(COME_AGAIN_S)}
            return problem(503, "too many bill runs are waiting: send it again when some are done", again)
        return json_response({"id": run, "run": run, "period": period, "account": account, "state": "accepted"}, 202)
