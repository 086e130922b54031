"""Changes to users over the socket beside the store: the daemon's own memory follows before the command ends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from argon2 import Parameters
from argon2.low_level import Type

from control.users import Role, Users
from control.users.passwords import Passwords
from mediation import writer_socket, writer_users
from mediation.cli.users_change import change
from mediation.config import Config, read_config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.feeds.problems import as_problems
from mediation.schema import all_migrations
from mediation.writer_users import AddToken, AddUser, Change, DisableUser, EnableUser, RevokeToken, SetPassword
from rating.store.sqlite import open_store
from tests.small_site import write_config

CHEAP = Parameters(Type.ID, 19, 8, 16, time_cost=1, memory_cost=8, parallelism=1)
GOOD, OTHER = "correct horse battery", "another good password"


@dataclass
class Owner:
    """Who has the store, as the daemon has it."""

    users: Users
    config: Config

    async def change(self, wanted: Change) -> str | None:
        """As a command does it, which is another process in earnest."""
        return (await asyncio.to_thread(change, self.config, wanted)).token

    async def signed_in(self, password: str = GOOD) -> str:
        token = await self.users.sign_in("ada", password, "192.0.2.1", wall_clock())
        assert isinstance(token, str)
        return token

    def is_live(self, token: str) -> bool:
        return self.users.session(token, wall_clock()) is not None


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[Owner]:
    config = read_config(write_config(tmp_path, tmp_path / "tollkeeper.db"))
    store = await open_store(config.store.path, all_migrations(), wall_clock())
    users = await Users.load(store, wall_clock, Passwords(CHEAP))
    app = web.Application(middlewares=[as_problems])
    writer_users.add_routes(app, users)
    runner = web.AppRunner(app)
    await runner.setup()
    await writer_socket.listen(runner, config.store.path)
    yield Owner(users, config)
    await runner.cleanup()
    users.close()
    await store.close()


async def test_a_user_who_was_added_signs_in_and_is_out_when_disabled(owner: Owner) -> None:
    await owner.change(AddUser("ada", Role.STAFF, None, None, GOOD))
    token = await owner.signed_in()
    await owner.change(DisableUser("ada"))
    assert not owner.is_live(token)
    await owner.change(EnableUser("ada"))
    token = await owner.signed_in()
    await owner.change(SetPassword("ada", OTHER))
    assert not owner.is_live(token)
    await owner.signed_in(OTHER)


async def test_a_token_is_in_force_at_once_and_revoked_at_once(owner: Owner) -> None:
    key = await owner.change(AddToken("billing", Role.AUDITOR, None))
    assert key
    principal = owner.users.by_token(key)
    assert principal
    assert (principal.name, principal.role) == ("billing", Role.AUDITOR)
    await owner.change(RevokeToken("billing"))
    assert owner.users.by_token(key) is None


async def test_a_refusal_comes_back_in_words(owner: Owner) -> None:
    with pytest.raises(Failure, match="no user 'ada'"):
        await owner.change(DisableUser("ada"))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"change": {"type": "promote user", "name": "ada"}, "actor": "x"}'])
async def test_what_is_no_change_is_a_problem(owner: Owner, body: bytes) -> None:
    path = owner.config.store.path
    answer = await asyncio.to_thread(writer_socket.ask_daemon, path, "POST", writer_users.PATH, body)
    assert answer
    assert answer[0] == 422
    assert b"not a change to users" in answer[1]
