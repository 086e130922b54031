"""What crosses the pipeline's seam: batches of rows that are ready to be written, as plain data.

In front of the seam everything is pure; behind it is the owner of the store. Because only lists, numbers, text and
bytes cross it, the seam can be a queue inside one process or a socket between two.
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from typing import Any, Final
from zlib import crc32

import msgspec

from rating.allowances.parts import Parts
from rating.cdr import MICROS

COLUMNS: Final = (
    "id", "source", "record_id", "start_at", "offset_min", "answer_at", "duration_us", "calling", "called",
    "line", "account", "provider", "service", "service_given", "type", "units", "device", "destination",
    "place_called", "charge_micros", "tariff", "billed_s", "arrived_at", "detail", "key",
)  # fmt: skip
"""The columns of a new transaction, in the order of a row. `id` is filled in by the owner."""

STORED_COLUMNS: Final = (*COLUMNS, "rated_at", "reverses")
"""The columns of a transaction in the store: those of a row, and what is null in one that came straight from a feed
(it was rated when it arrived, and reverses nothing; a column that is left out costs nothing)."""

COLUMN: Final = {name: index for index, name in enumerate(COLUMNS)}

ACCOUNT_NUMBER: Final = len(COLUMNS)
"""Behind its columns a row that comes from a front has the number that the store gave its account, by which its place
in the counters is found at once. It is no column, and other rows do not have it."""

CORRECTION_KEY: Final = -1
"""The `key` of a row that corrects a charge: it is no record, and no record has a negative one."""

CONTENT: Final = (
    "answer_at", "duration_us", "calling", "called", "service", "service_given", "type", "units", "device", "detail",
)  # fmt: skip
"""The columns that say what the source reported, besides the natural key: equal ones make a record the same."""

Row = list[Any]

_HASH_BITS: Final = 31
_SECONDS: Final = (1 << 32) - 1
_ODD: Final = 0x9E3779B1
"""2^32 divided by the golden ratio: spreads numbers that differ little."""


def key_of(source: int, record_id: str, start_at: int) -> int:
    """The natural key as one number of 63 bits: the second of the start, then a hash of all of it.

    A unique index of numbers is half as large as one of texts, and what is written together lies together in it. Two
    records may have one number, as rarely as it is: who meets it compares the texts, and goes on to `keys_after`.
    """
    mixed = (crc32(record_id.encode("utf-8", "surrogatepass")) + start_at % MICROS + source * _ODD) * _ODD
    return (start_at // MICROS & _SECONDS) << _HASH_BITS | (mixed ^ mixed >> 32) & 0x7FFFFFFF


def keys_after(source: int, record_id: str, start_at: int) -> Iterator[int]:
    """The numbers of a natural key, in the order in which they are tried, when `key_of` is another's.

    Ids can be chosen so that `key_of` is one number for all of them. The second number, in the same second, is of a
    hash for which that takes 2^31 tries an id; so that nobody makes the search for a free one long.
    """
    digest = blake2b(f"{source} {start_at} {record_id}".encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return count((start_at // MICROS & _SECONDS) << _HASH_BITS | int.from_bytes(digest) >> 1)


def content_of(row: Row) -> tuple[Any, ...]:
    """What the source reported, in a form that compares equal for equal records.

    A service that the record did not name was looked up, so it is not part of what was reported.
    """
    given = row[COLUMN["service_given"]]
    return tuple(None if name == "service" and not given else row[COLUMN[name]] for name in CONTENT)


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a batch stands in its source's stream (the transport position)."""

    epoch: str
    sequence: int
    digest: bytes
    """Of the batch's decoded body: the same position with another body is refused."""


class Suspended(msgspec.Struct, frozen=True, gc=False):
    """A record that could not be parsed, guided or rated."""

    line: int
    """Line of the batch, from 1."""
    reason: str
    detail: str
    """In words: what is wrong, for the person who mends it."""
    digest: bytes
    record_id: str | None = None
    start_at: int | None = None
    content: tuple[Any, ...] | None = None
    """As `content_of`, where the record was normalised: it may turn out a duplicate or a conflict after all."""


class Batch(msgspec.Struct, gc=False):
    """One delivery of one source, decoded, guided and rated, on its way to the store."""

    source: int
    arrived_at: int
    received: int
    """Records in it: lines that are not blank."""
    raw: list[bytes]
    """The lines as they arrived, without their ends; line n is raw[n - 1]."""
    rows: dict[int, list[Row]]
    """The transactions, by month partition."""
    row_lines: dict[int, list[int]]
    """For each row the line that it came from."""
    suspended: list[Suspended]
    position: Position | None = None
    format: str = "ndjson"
    """How a line of it is read, should it be suspended: a format's name, and the zone of its local times."""
    feed: str | None = None
    """The feed that it came by, where its source has several: they may report the same calls."""
    parts: dict[int, Parts] = {}
    """Of the transactions that rules of their tariff may make cheaper, by line: their charges are before that."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Why one record of a batch was suspended, as the source is told."""

    line: int
    id: str | None
    reason: str


class Outcome(msgspec.Struct, gc=False):
    """What became of a batch; the three numbers sum to the batch's `received`."""

    accepted: int = 0
    duplicate: int = 0
    suspended: int = 0
    records: list[Verdict] = msgspec.field(default_factory=list)
    conflict: bool = False
    """The position was taken by another body: nothing of the batch was stored."""
