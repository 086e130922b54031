"""Reading transactions for people and programs: as the contract's export lines, one at a time or many."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from rating.cdr import CDR, MICROS
from rating.money import format_micros
from rating.numbering import display
from rating.store.batch import COLUMN, STORED_COLUMNS
from rating.store.partitions import last_id, month_of, partitions
from rating.store.provisioning import tariff_terms
from rating.store.retired import require_kept
from rating.store.sources import names_to_ids
from rating.store.transactions import read_chunks

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RECORD_ID, _CALLING, _CALLED, _START_AT, _OFFSET_MIN, _ANSWER_AT, _DURATION_US, _TYPE, _SERVICE, _SERVICE_GIVEN = (
    COLUMN[name]
    for name in (
        "record_id", "calling", "called", "start_at", "offset_min", "answer_at", "duration_us", "type", "service",
        "service_given",
    )
)  # fmt: skip
_UNITS, _DEVICE, _DETAIL = (COLUMN[name] for name in ("units", "device", "detail"))
_decode_detail: Final = msgspec.json.Decoder(float_hook=Decimal).decode


def export(
    cx: sqlite3.Connection, account: str | None = None, from_at: int | None = None, to_at: int | None = None
) -> Iterator[dict[str, Any]]:
    """Every transaction committed before the call, with from ≤ answer < to, by partition and then by id, but for those
    of retired months. Raises StoreError if one is retired while it is read."""
    upto = last_id(cx)
    conditions = {"account = ?": account, "answer_at >= ?": from_at, "answer_at < ?": to_at}
    given = {sql: value for sql, value in conditions.items() if value is not None}
    line = exporter(cx)
    for month in partitions(cx):
        # A call is kept in the month of its start and asked for by its answer, which comes later: how much is open.
        if to_at is not None and month > month_of(to_at):
            continue
        for chunk in read_chunks(
            cx,
            month,
            ", ".join(STORED_COLUMNS),
            after=0,
            upto=upto,
            where=" AND ".join(given),
            values=tuple(given.values()),
        ):
            yield from map(line, chunk)
        require_kept(cx, [month])


def exporter(cx: sqlite3.Connection) -> Callable[[tuple[Any, ...]], dict[str, Any]]:
    """Makes the contract's export line of a transaction's `STORED_COLUMNS`."""
    sources = {number: name for name, number in names_to_ids(cx).items()}
    terms = tariff_terms(cx)

    def line(row: tuple[Any, ...]) -> dict[str, Any]:
        columns = dict(zip(STORED_COLUMNS, row, strict=True))
        tariff, currency, decimals = terms.get(columns["tariff"], (None, None, 2))
        return {
            "transaction": columns["id"],
            "id": columns["record_id"],
            "source": sources[columns["source"]],
            "account": columns["account"],
            "line": display(columns["line"]),
            "provider": columns["provider"],
            "calling": display(columns["calling"]),
            "called": display(columns["called"]),
            "start": instant_text(columns["start_at"]),
            "answer": instant_text(columns["answer_at"]),
            "duration": _seconds(columns["duration_us"]),
            "billed_s": columns["billed_s"],
            "service": columns["service"],
            "type": columns["type"],
            "destination": columns["destination"],
            "place_called": columns["place_called"],
            "charge": format_micros(columns["charge_micros"], decimals),
            "currency": currency,
            "tariff": tariff,
            "rated_at": instant_text(columns["rated_at"] or columns["arrived_at"]),
            "reverses": columns["reverses"],
            "units": columns["units"],
            "device": columns["device"],
            **(_decode_detail(columns["detail"]) if columns["detail"] else {}),
        }

    return line


def cdr_of(row: Sequence[Any], source: str) -> CDR:
    """The CDR that a transaction was made from."""
    detail = row[_DETAIL]
    return CDR(
        source, row[_RECORD_ID], row[_CALLING], row[_CALLED], row[_START_AT], row[_OFFSET_MIN], row[_ANSWER_AT],
        row[_DURATION_US], row[_TYPE], row[_SERVICE] if row[_SERVICE_GIVEN] else None, units=row[_UNITS],
        device=row[_DEVICE], **(_decode_detail(detail) if detail else {}),
    )  # fmt: skip


def instant_text(at: int) -> str:
    """RFC 3339 in UTC, with as many places as it takes."""
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _seconds(us: int) -> int | msgspec.Raw:
    """Seconds as an exact JSON number."""
    whole, rest = divmod(abs(us), MICROS)
    sign = "-" if us < 0 else ""
    return msgspec.Raw(f"{sign}{whole}.{rest:06d}".rstrip("0").encode()) if rest else us // MICROS
