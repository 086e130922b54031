"""What can go wrong with a store, each with what to do about it."""


class StoreError(Exception):
    """An operating failure of the store; its message tells what to do."""


class StoreLocked(StoreError):
    """Another process is the store's writer."""


class SchemaTooNew(StoreError):
    """The store was written by a newer program."""


class SchemaTooOld(StoreError):
    """The store has to be migrated before this program can use it."""


class StoreFailed(StoreError):
    """A read, write or sync failed. The owner must stop: after a failed sync nobody knows what is on the disk."""
