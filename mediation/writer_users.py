"""Changes to users and API tokens on their way from a command to whoever owns the store.

The running daemon takes them at its socket beside the store, so that a session or a token ends at once everywhere; a
command that has the store to itself carries them out by the same function.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web

from control.users import Role, UserRefused, Users
from mediation.feeds.problems import json_response, problem

PATH: Final = "/users"


class AddUser(msgspec.Struct, frozen=True, tag="add user"):
    """A user who is not there yet."""

    name: str
    role: Role
    account: str | None
    email: str | None
    password: str


class DisableUser(msgspec.Struct, frozen=True, tag="disable user"):
    """A user who may no longer sign in."""

    name: str


class EnableUser(msgspec.Struct, frozen=True, tag="enable user"):
    """A disabled user who may sign in again."""

    name: str


class SetPassword(msgspec.Struct, frozen=True, tag="set password"):
    """Another password."""

    name: str
    password: str


class AddToken(msgspec.Struct, frozen=True, tag="add token"):
    """An API token that is not there yet."""

    name: str
    role: Role
    account: str | None


class RevokeToken(msgspec.Struct, frozen=True, tag="revoke token"):
    """An API token that shall not be in force any longer."""

    name: str


Change = AddUser | DisableUser | EnableUser | SetPassword | AddToken | RevokeToken


class Order(msgspec.Struct, frozen=True):
    """A change, and who wants it."""

    change: Change
    actor: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of it."""

    refused: str | None = None
    """Why it was not made, and what to do."""
    token: str | None = None
    """The new API token."""


async def carry_out(users: Users, order: Order) -> Answer:
    """Make a change; when it returns, it is durable and in force."""
    try:
        return Answer(token=await _made(users, order.change, order.actor))
    except UserRefused as refused:
        return Answer(refused=str(refused))


async def _made(users: Users, change: Change, actor: str) -> str | None:
    match change:
        case AddUser():
            await users.add_user(change.name, change.role, change.account, change.email, change.password, actor)
        case DisableUser():
            await users.disable(change.name, actor)
        case EnableUser():
            await users.enable(change.name, actor)
        case SetPassword():
            await users.set_password(change.name, change.password, actor)
        case AddToken():
            return await users.add_token(change.name, change.role, change.account, actor)
        case RevokeToken():
            await users.revoke_token(change.name, actor)
    return None


def add_routes(app: web.Application, users: Users) -> None:
    """Let the daemon take changes at its socket, to which only its own user has access."""
    app.router.add_post(PATH, _taking(users))


def _taking(users: Users) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def take(request: web.Request) -> web.Response:
        try:
            order = msgspec.json.decode(await request.read(), type=Order)
        except msgspec.MsgspecError as error:
            return problem(422, f"not a change to users: {error}")
        answer = await carry_out(users, order)
        return json_response(answer, 200 if answer.refused is None else 409)

    return take
