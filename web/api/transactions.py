"""Transactions through the API: searched by conditions, and one explained."""

from typing import Any, Final

import msgspec
from aiohttp import web

from mediation.feeds.problems import json_response
from rating.money import format_micros
from rating.search.conditions import SearchError
from rating.search.totals import Totals
from rating.store.reading import instant_text
from web.api import shapes
from web.api.paging import known_only
from web.pages.calls import explained_for
from web.refusals import Refused
from web.request import principal_of
from web.routing import CALLS, Route
from web.searching import Found, reach_of, read_query, search
from web.site import Site

SEARCH: Final = ("column", "op", "value", "sort", "limit", "after")
_MICROS_PLACES: Final = 6


class TransactionsAPI:
    """`/api/v1/transactions`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        return (
            Route(
                "GET", "/api/v1/transactions", self._search, CALLS,
                "Search transactions: column, op and value of each condition, repeated in step",
                answer=msgspec.json.schema(shapes.TransactionPage), query=SEARCH,
            ),
            Route(
                "GET", "/api/v1/transactions/{transaction:[0-9]{1,18}}", self._one, CALLS,
                "A transaction, and how its charge came about",
                owned="transaction", answer=msgspec.json.schema(shapes.Explained),
            ),
        )  # fmt: skip

    async def _search(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query, *SEARCH)
        try:
            asked = read_query(request.query)
            found = await search(self._site, reach_of(self._site, principal_of(request)), asked)
        except SearchError as error:
            raise Refused(422, str(error)) from None
        return json_response(found_json(found))

    async def _one(self, request: web.Request) -> web.StreamResponse:
        known_only(request.query)
        number = int(request.match_info["transaction"])
        return json_response(await explained_for(self._site, principal_of(request), number))


def found_json(found: Found) -> dict[str, Any]:
    """What a search finds, for programs."""
    back_to = found.page.searched_back_to_at
    return {
        "items": found.page.rows,
        "next": found.page.next,
        "totals": None if found.page.totals is None else _totals(found.page.totals),
        "sentence": found.words,
        "searched_back_to": None if back_to is None else instant_text(back_to),
    }


def _totals(totals: Totals) -> dict[str, Any]:
    charges = {currency: format_micros(micros, _MICROS_PLACES) for currency, micros in totals.charge_micros.items()}
    return {
        "count": totals.count,
        "duration_s": format_micros(totals.duration_us, _MICROS_PLACES),
        "charges": charges,
    }
