"""One account's transactions made into the document of its bill: by provider, by line, call by call. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from control.billing.bill import Call, Document, LineSection, ProviderSection
from rating.cdr import MICROS
from rating.numbering import display

_QUARTER_US: Final = 900 * MICROS


COLUMNS: Final = (
    "id", "account", "provider", "line", "answer_at", "calling", "called", "place_called", "destination", "type",
    "service", "duration_us", "billed_s", "charge_micros", "units", "reverses",
)  # fmt: skip
"""Of a transaction, what a bill needs."""
_PROVIDER, _LINE, _ANSWER_AT = (COLUMNS.index(name) for name in ("provider", "line", "answer_at"))

Row = Sequence[Any]
"""The values of `COLUMNS`."""


class Offsets:
    """Of a zone's clock from UTC. Worked out once for a quarter of an hour: a zone changes at the beginning of one."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._known: dict[int, int] = {}

    def at(self, at: int) -> int:
        """At an instant, in minutes."""
        quarter = at // _QUARTER_US
        minutes = self._known.get(quarter)
        if minutes is None:
            offset = datetime.fromtimestamp(quarter * 900, self._zone).utcoffset()
            assert offset is not None
            minutes = self._known[quarter] = offset.days * 1440 + offset.seconds // 60
        return minutes


def consolidate(rows: Iterable[Row], timezone: str, offsets: Offsets) -> Document:
    """The document: providers and lines in the order of their names, a line's calls in the order of their answers.
    `offsets` are the zone's."""
    gathered: dict[str, dict[str, list[Call]]] = {}
    for row in sorted(rows, key=_order):
        (
            number, _, provider, line, answer_at, calling, called, place, destination, type_, service, duration_us,
            billed_s, charge_micros, units, reverses,
        ) = row  # fmt: skip
        call = Call(
            answer_at, offsets.at(answer_at), display(called), place, destination, type_, service, duration_us,
            billed_s, charge_micros, number, None if calling == line else display(calling), units, reverses,
        )  # fmt: skip
        gathered.setdefault(provider, {}).setdefault(line, []).append(call)
    sections = []
    for provider, lines in gathered.items():
        parts = [
            LineSection(display(line), sum(call.charge_micros for call in calls), calls)
            for line, calls in lines.items()
        ]
        sections.append(ProviderSection(provider, sum(part.charges_micros for part in parts), parts))
    return Document(timezone, sections)


def _order(row: Row) -> tuple[Any, ...]:
    return row[_PROVIDER], row[_LINE], row[_ANSWER_AT], row[0]
