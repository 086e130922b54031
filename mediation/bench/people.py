"""Users and API tokens of a bench's site, before its daemon starts."""

import contextlib
import time
from collections.abc import AsyncIterator

from control.users import Users
from mediation.bench.site import Site
from mediation.schema import all_migrations
from rating.store.sqlite import open_store


@contextlib.asynccontextmanager
async def users_of(site: Site) -> AsyncIterator[Users]:
    """The users of a site, to be added to."""
    store = await open_store(site.store, all_migrations(), _clock())
    try:
        users = await Users.load(store, _clock)
        try:
            yield users
        finally:
            users.close()
    finally:
        await store.close()


def _clock() -> int:
    return time.time_ns() // 1000
