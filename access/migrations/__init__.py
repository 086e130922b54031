"""The steps by which access's part of the store's schema grew."""

from rating.store.migrations import Migration, steps_of


def access_migrations() -> tuple[Migration, ...]:
    """The steps of access, in order."""
    return steps_of("access", __package__)
