"""In front of the seam: lines become transactions or suspended records.

Pure: the clock's reading comes with the lines.
"""

from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from mediation.formats import Parse, Unreadable
from rating.allowances.rules import Rules
from rating.cdr import CDR, MICROS
from rating.directory import Directory
from rating.line_services import LineService
from rating.rater import Charge, Rater
from rating.store.batch import Batch, Position, Row, Suspended, key_of
from rating.store.partitions import month_bounds, month_of
from rating.store.suspense import digest_of

FUTURE_US: Final = 600 * MICROS
"""A start further ahead than this is `future`: no clock of a switch is that wrong, and no month should be opened."""
FUTURE_ANSWER_US: Final = 86_400 * MICROS
"""An answer further ahead than this is `future` too."""
OLDEST_AT: Final = 0
"""1970: before it there were no call records, only broken clocks."""

LONG_US: Final = 7 * 86_400 * MICROS
"""A call of so long may go through many periods, and take far longer to rate than any other."""

_encode: Final = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Front:
    """Decodes, normalises, guides and rates the records of one source's batches.

    `directory` is replaced by the daemon when something was imported; a batch uses the one that it began with.
    """

    def __init__(self, directory: Directory, oldest_at: int = OLDEST_AT) -> None:
        """`oldest_at`: starts before it are `too-old`, µs UTC (the retention)."""
        self.directory = directory
        self.oldest_at = oldest_at

    def begin(
        self,
        source: str,
        source_id: int,
        arrived_at: int,
        position: Position | None,
        format_name: str = "ndjson",
        feed: str | None = None,
    ) -> "BatchMaker":
        """Start on a batch of a source that arrived at `arrived_at` (µs UTC); `feed` where the source has several."""
        batch = Batch(source_id, arrived_at, 0, [], {}, {}, [], position, format_name, feed)
        return BatchMaker(self.directory, self.oldest_at, source, batch)


class BatchMaker:
    """Makes one batch, some lines at a time, so that a large one does not hold up the event loop."""

    def __init__(self, directory: Directory, oldest_at: int, source: str, batch: Batch) -> None:
        self._directory = directory
        self._oldest_at = oldest_at
        self._source = source
        self.batch = batch
        self._month = (0, 0, 0)  # first instant, end, YYYYMM of the month met last

    def add(self, lines: list[bytes], parse: Parse, *, may_stop: bool = False) -> int:
        """Process further lines of the batch, without their ends; blank ones do not count. How many: all, or with
        `may_stop` those up to the first that took long."""
        batch = self.batch
        before = number = len(batch.raw)
        batch.raw += lines
        for line in lines:
            number += 1
            if not line or line.isspace():
                continue
            batch.received += 1
            record = parse(line, self._source)
            if type(record) is not CDR:
                assert isinstance(record, Unreadable)
                batch.suspended.append(
                    Suspended(number, record.reason, record.detail, record.digest, record.id, record.start_at)
                )
                continue
            made = self._rate(record, number)
            if type(made) is list:
                start_at = record.start_at
                first, end, month = self._month
                if not first <= start_at < end:
                    month = month_of(start_at)
                    self._month = (*month_bounds(month), month)
                rows = batch.rows.get(month)
                if rows is None:
                    batch.rows[month], batch.row_lines[month] = [made], [number]
                else:
                    rows.append(made)
                    batch.row_lines[month].append(number)
            else:
                assert isinstance(made, tuple)
                batch.suspended.append(self._suspend(record, number, *made))
            if may_stop and record.duration_us > LONG_US:
                del batch.raw[number:]
                break
        return number - before

    def _rate(self, cdr: CDR, number: int) -> Row | tuple[str, str]:
        """The transaction of a CDR, or reason and detail. The checks stand in the order in which their reasons apply
        (a conflict, which comes before them, is found behind the seam)."""
        if cdr.answer_at > self.batch.arrived_at + FUTURE_US:  # an answer is never before its start
            why = _why_future(cdr, self.batch.arrived_at)
            if why is not None:
                return "future", why
        if cdr.start_at < self._oldest_at:
            return "too-old", "start is before the retention"
        entry = self._directory.guide(cdr)
        if entry is None:
            return "unknown-line", _why_unguided(cdr)
        terms = entry.terms
        tariff = terms.tariff or self._directory.default_tariff
        version = None if tariff is None else self._directory.tariffs.in_force(tariff, cdr.answer_at)
        if version is None:
            if cdr.quantity_us:
                return "no-rate", _why_without_tariff(entry, tariff)
            return self._row(cdr, entry, None, Charge(0, 0, None, cdr.place))
        rater = version.rater
        if rater.currency != terms.currency:
            converted = version.in_currency(terms.currency)
            if converted is not None:
                version, rater = converted, converted.rater
            elif cdr.quantity_us:
                return "no-conversion", _why_unconverted(rater, entry)
        charge = (
            rater.charge(cdr, terms.provider, terms.service)
            if rater.rules is None
            else self._charge_in_parts(number, rater, rater.rules, cdr, entry)
        )
        if type(charge) is not Charge:
            assert isinstance(charge, str)
            return charge, _why_uncharged(charge, version.name, cdr)
        return self._row(cdr, entry, version.id, charge)

    def _charge_in_parts(self, number: int, rater: Rater, rules: Rules, cdr: CDR, entry: LineService) -> Charge | str:
        """The charge before the rules, whose parts go along for the store's owner to apply them."""
        charge, stretches = rater.charge_in_parts(cdr, entry.terms.provider, entry.terms.service)
        if stretches:
            self.batch.parts[number] = self._directory.parts_of(rules, cdr, entry, stretches)
        return charge

    def _row(self, cdr: CDR, entry: LineService, tariff: int | None, charge: Charge) -> Row:
        """The order is that of `rating.store.batch.COLUMNS`; behind them `ACCOUNT_NUMBER`."""
        terms = entry.terms
        return [
            None, self.batch.source, cdr.id, cdr.start_at, cdr.offset_min, cdr.answer_at, cdr.duration_us,
            cdr.calling, cdr.called, entry.line, entry.account, terms.provider, terms.service,
            0 if cdr.service is None else 1, cdr.type, cdr.units, cdr.device,
            charge.destination, charge.place_called, charge.charge_micros, tariff, charge.billed_s,
            self.batch.arrived_at, _detail(cdr), key_of(self.batch.source, cdr.id, cdr.start_at),
            entry.number,
        ]  # fmt: skip

    def _suspend(self, cdr: CDR, number: int, reason: str, detail: str) -> Suspended:
        content = content_of_cdr(cdr)
        return Suspended(
            number, reason, detail, digest_of(cdr.id, cdr.start_at, content), cdr.id, cdr.start_at, content
        )


def content_of_cdr(cdr: CDR) -> tuple[Any, ...]:
    """What the source reported, as `content_of` says it of a row."""
    return (
        cdr.answer_at, cdr.duration_us, cdr.calling, cdr.called, cdr.service, 0 if cdr.service is None else 1,
        cdr.type, cdr.units, cdr.device, _detail(cdr),
    )  # fmt: skip


DETAIL: Final = (
    "place", "cause", "switch", "trunk_in", "trunk_out", "session", "leg", "username", "partial", "last", "extra",
    "charge_to",
)  # fmt: skip
"""Fields of a CDR that share the column `detail`."""

_FIRST: Final = CDR.__struct_fields__.index(DETAIL[0])
_NONE: Final = (None,) * (len(CDR.__struct_fields__) - _FIRST)
assert CDR.__struct_fields__[_FIRST:] == DETAIL[:-1], "the fields that few records have must be the last of a CDR"


def _detail(cdr: CDR) -> str | None:
    """The fields that few records have, as JSON with sorted keys (equal fields give equal text)."""
    if cdr.charge_to is None and astuple(cdr)[_FIRST:] == _NONE:
        return None
    return _encode({name: value for name in DETAIL if (value := getattr(cdr, name)) is not None}).decode()


def _why_future(cdr: CDR, arrived_at: int) -> str | None:
    if cdr.start_at > arrived_at + FUTURE_US:
        return "start is more than 10 minutes ahead of the clock here"
    # The contract speaks of the start alone. But the charge counts in the period of the answer: a broken one must not
    # open periods years ahead; nor does a telephone ring for a day.
    if cdr.answer_at > arrived_at + FUTURE_ANSWER_US:
        return "answer is more than a day ahead of the clock here"
    return None


def _why_uncharged(reason: str, tariff: str, cdr: CDR) -> str:
    if reason == "no-rate":
        return f"tariff {tariff} has no rate for {cdr.rated_number} at the time"
    return f"tariff {tariff} gives a charge that is out of range"


def _why_unguided(cdr: CDR) -> str:
    payer = {"collect": "called", "toll-free": "called", "calling-card": "charge_to", "third-number": "charge_to"}.get(
        cdr.type, "calling"
    )
    number = getattr(cdr, payer)
    if number is None:
        return f"a {cdr.type} record is paid by charge_to, and has none"
    service = "" if cdr.service is None else f" with service {cdr.service}"
    return f"no account had the {payer} line {number}{service} at the time: import it, then recycle"


def _why_unconverted(rater: Rater, entry: LineService) -> str:
    tariff, currency = rater.tariff, entry.terms.currency
    return (
        f"tariff {tariff.name} is in {tariff.currency}, account {entry.account} in {currency}, and no"
        f" conversion is stated: add {currency} to its [conversion] and import it, then recycle"
    )


def _why_without_tariff(entry: LineService, tariff: str | None) -> str:
    if tariff is None:
        return f"neither line {entry.line} nor account {entry.account} nor [rating] default_tariff names a tariff"
    return f"tariff {tariff} is not in force at the time: import it, then recycle"
