"""The schema of a whole site: the steps of every package that keeps tables in the store."""

from access.migrations import access_migrations
from control.migrations import control_migrations
from rating.store.migrations import Migration, own_migrations


def all_migrations() -> tuple[Migration, ...]:
    """The steps in the order in which they are applied."""
    return (*own_migrations(), *control_migrations(), *access_migrations())
