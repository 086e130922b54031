"""The steps by which control's part of the store's schema grew."""

from rating.store.migrations import Migration, steps_of


def control_migrations() -> tuple[Migration, ...]:
    """Control's steps, in order."""
    return steps_of("control", __package__)
