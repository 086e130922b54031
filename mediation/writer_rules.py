"""The rules of payment on their way from a command to whoever owns the store."""

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from control.payments.rule_rows import put_rules
from control.payments.rules import RulesError, parse_rules
from mediation.feeds.problems import json_response, problem
from rating.store.port import Store

PATH: Final = "/import/rules"


class RulesText(msgspec.Struct, frozen=True):
    """A file of rules as it was read, and who imports it."""

    text: str
    file_name: str
    actor: str


async def import_rules(store: Store, order: RulesText, now: int) -> int:
    """Keep rules as a new version; its number. The bills and payments after it go by them. Raises RulesError."""
    rules = parse_rules(order.text, order.file_name)
    return await store.transact(put_rules, rules, order.text, order.actor, now)


def add_routes(app: web.Application, store: Store, clock: Callable[[], int]) -> None:
    """Let the daemon take rules at its socket, to which only its own user has access."""

    async def take(request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=RulesText)
        except msgspec.MsgspecError as error:
            return problem(422, f"not a text of rules: {error}")
        try:
            return json_response({"imported": await import_rules(store, order, clock())})
        except RulesError as refused:
            return json_response({"errors": [str(refused)]}, 422)

    app.router.add_post(PATH, take)
