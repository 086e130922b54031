"""Which transactions took the place of which when they were charged again, on whose order."""

import sqlite3

import msgspec

from rating.store.reading import instant_text


class Links(msgspec.Struct, frozen=True):
    """How a transaction is tied to others by charging again."""

    reverses: int | None
    """The transaction whose charge it takes back."""
    replaces: int | None
    """The transaction in whose place it stands."""
    reversed_by: int | None
    replaced_by: int | None
    run: int
    """The last one that had to do with it."""
    at: str
    """When, RFC 3339."""
    by: str | None
    """Who ordered it; None for those who need not know, as the reason."""
    reason: str | None

    def for_customer(self) -> "Links":
        """Without what is the provider's own."""
        return msgspec.structs.replace(self, by=None, reason=None)


def links_of(cx: sqlite3.Connection, transaction: int, reverses: int | None) -> Links | None:
    """What ties a transaction, which `reverses` another or none, to others; None for one that nobody charged again."""
    replaced = _link(cx, "replacement", transaction)
    taken_back = _link(cx, "original", transaction if reverses is None else reverses)
    told = taken_back or replaced
    if told is None:
        return None
    _, reversal, replacement, run, at, actor, reason = told
    return Links(
        reverses=reverses,
        replaces=replaced[0] if replaced else None,
        reversed_by=reversal if taken_back and reverses is None else None,
        replaced_by=replacement if taken_back else None,
        run=run,
        at=instant_text(at),
        by=actor,
        reason=reason,
    )


def _link(
    cx: sqlite3.Connection, column: str, transaction: int
) -> tuple[int, int, int | None, int, int, str, str] | None:
    found: tuple[int, int, int | None, int, int, str, str] | None = cx.execute(
        "SELECT original, reversal, replacement, run, at, actor, reason FROM rerated JOIN rerate_runs"
        f" ON rerate_runs.shard = 0 AND rerate_runs.id = run WHERE {column} = ?",  # a name of ours
        (transaction,),
    ).fetchone()
    return found
