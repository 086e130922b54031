"""Which rows of the deck a call has (rule 1): those of the longest prefix, and of these the ones with most filters."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, cast

from rating.deck import DeckRow, by_prefix
from rating.pricing import RowSet

# The filters that a set of rows has, as bits. Their values make the order of rule 1 when equally many are given:
# provider before service before type.
_PROVIDER: Final = 4
_SERVICE: Final = 2
_TYPE: Final = 1


class PrefixTable:
    """The deck by prefix. Sets of rows are prepared when a call first needs them: most of a large deck never is."""

    def __init__(self, rows: Iterable[DeckRow], prepare: Callable[[Sequence[DeckRow]], RowSet]) -> None:
        self._prepare = prepare
        # Not a copy, which a large deck would need megabytes for: what is prepared takes the place of the rows.
        self._by_prefix = cast("dict[str, DeckRow | list[DeckRow] | RowSet | _Filtered]", by_prefix(rows))
        # Longest first. Digits and addresses apart: a long sip: prefix costs telephone calls nothing.
        lengths = sorted({(len(prefix), _is_address(prefix)) for prefix in self._by_prefix}, reverse=True)
        self._digit_lengths = tuple(length for length, is_address in lengths if not is_address)
        self._address_lengths = tuple(length for length, is_address in lengths if is_address or not length)

    def find(self, number: str, provider: str | None, service: str | None, call_type: str) -> RowSet | None:
        """The rows for a number in the CDR's form (digits of E.164, or the text of a sip:/ip: address), or None."""
        sets = self._by_prefix
        for length in self._digit_lengths if number.isdigit() else self._address_lengths:
            prefix = number[:length]
            found = sets.get(prefix)
            if found is None:
                continue
            if isinstance(found, RowSet):
                return found
            if not isinstance(found, _Filtered):
                found = sets[prefix] = self._ready(found if isinstance(found, list) else [found])
                if isinstance(found, RowSet):
                    return found
            chosen = found.choose(provider, service, call_type)
            if chosen is not None:
                return chosen
        return None

    def _ready(self, rows: list[DeckRow]) -> "RowSet | _Filtered":
        if all(row.provider is row.service is row.type is None for row in rows):
            return self._prepare(rows)
        return _Filtered(rows, self._prepare)


class _Filtered:
    """The rows of a prefix of which some have filters, by the values that these ask for."""

    def __init__(self, rows: list[DeckRow], prepare: Callable[[Sequence[DeckRow]], RowSet]) -> None:
        by_filters: dict[tuple[str | None, str | None, str | None], list[DeckRow]] = {}
        for row in rows:
            by_filters.setdefault((row.provider, row.service, row.type), []).append(row)
        self._sets = {filters: prepare(members) for filters, members in by_filters.items()}
        masks = {_mask(*filters) for filters in by_filters}
        self._masks = sorted(masks, key=lambda mask: (mask.bit_count(), mask), reverse=True)

    def choose(self, provider: str | None, service: str | None, call_type: str) -> RowSet | None:
        known = _mask(provider, service, call_type)
        for mask in self._masks:
            if mask & ~known:
                continue  # a row that asks for a value does not hold for a call without any
            filters = (
                provider if mask & _PROVIDER else None,
                service if mask & _SERVICE else None,
                call_type if mask & _TYPE else None,
            )
            found = self._sets.get(filters)
            if found is not None:
                return found
        return None


def _mask(provider: str | None, service: str | None, call_type: str | None) -> int:
    return (
        (_PROVIDER if provider is not None else 0)
        | (_SERVICE if service is not None else 0)
        | (_TYPE if call_type is not None else 0)
    )


def _is_address(prefix: str) -> bool:
    return prefix != "" and not prefix.isdigit()
