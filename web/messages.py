"""Messages that people and programs send to a POP feed's listener with an API token: searches."""

from functools import partial

from aiohttp import web

from control.users import Principal, Role
from mediation.feeds.pop import Envelope, Take
from mediation.feeds.problems import json_response, problem
from rating.search.conditions import SearchError
from web.routing import CALLS
from web.searching import MOST_ROWS, ROWS, Asked, reach_of, search
from web.site import Site


class Messages:
    """Answers whoever has an API token."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def taker(self, token: str) -> Take | None:
        """Who answers the messages of a token; None for one that is not in force."""
        principal = self._site.users.by_token(token) if token else None
        return None if principal is None else partial(self._answer, principal)

    async def _answer(self, principal: Principal, message: Envelope) -> web.Response:
        match message.kind:
            case "search":
                return await self._search(principal, message)
            case "batch" if principal.role is Role.STAFF:
                return problem(501, "this version makes no bills: there is no batch to run")
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
