"""Making a change to users or API tokens from the command line, whether the daemon runs or not."""

import asyncio
import os
import pwd

import msgspec

from control.users import Users
from mediation.config import Config
from mediation.daemon import wall_clock
from mediation.failure import Failure
from mediation.schema import all_migrations
from mediation.writer_socket import ask_daemon
from mediation.writer_users import PATH, Answer, Change, Order, carry_out
from rating.store.sqlite import open_store


def change(config: Config, wanted: Change) -> Answer:
    """What became of a change that was made. Raises Failure for one that was not, and StoreError."""
    order = Order(wanted, actor())
    told = ask_daemon(config.store.path, "POST", PATH, msgspec.json.encode(order))
    answer = asyncio.run(_alone(config, order)) if told is None else _understood(*told)
    if answer.refused is not None:
        raise Failure(answer.refused)
    return answer


def actor() -> str:
    """Who gives the command, for the audit log."""
    try:
        return f"command:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:  # a container may run as a number that has no name
        return f"command:{os.getuid()}"


def _understood(status: int, body: bytes) -> Answer:
    if status in (200, 409):
        return msgspec.json.decode(body, type=Answer)
    raise Failure(f"the daemon refused ({status}): is it of another version? start it again, and look at its log")


async def _alone(config: Config, order: Order) -> Answer:
    """The daemon does not run: take the store, and do what it would do."""
    store = await open_store(config.store.path, all_migrations(), wall_clock())
    try:
        users = await Users.load(store, wall_clock)
        try:
            return await carry_out(users, order)
        finally:
            users.close()
    finally:
        await store.close()
