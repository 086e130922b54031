"""What stored transactions cost by today's tariffs: which of them are to be charged again. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rating.cdr import CDR
from rating.directory import Directory, TariffVersion
from rating.rater import Charge
from rating.store.batch import COLUMN
from rating.store.partitions import month_bounds, month_of
from rating.store.reading import cdr_of
from rating.store.rerating import Correction

_ID, _SOURCE, _START_AT, _LINE, _ACCOUNT, _PROVIDER, _SERVICE, _CHARGE, _TARIFF, _BILLED, _DESTINATION, _PLACE = (
    COLUMN[name]
    for name in (
        "id", "source", "start_at", "line", "account", "provider", "service", "charge_micros", "tariff", "billed_s",
        "destination", "place_called",
    )
)  # fmt: skip

NO_RATE: Final = "no-rate"
NO_CONVERSION: Final = "no-conversion"


class Repricer:
    """Rates transactions again by what is provisioned now. Account, line, provider and service stay what they were
    when the record was guided; the tariff is the one that they have today, in its version at the answer."""

    def __init__(self, directory: Directory, sources: Mapping[int, str], currencies: Mapping[int, str]) -> None:
        """`sources` are the names by number, `currencies` those of all versions of tariffs, by number."""
        self._directory = directory
        self._sources = sources
        self._currencies = currencies
        self._month, self._month_at, self._month_end = 0, 0, 0

    def price(self, row: Sequence[Any], gross_micros: int | None = None) -> Correction | str | None:
        """The correction of a transaction (its `COLUMNS`); None if it costs what it did, or the reason why it has no
        charge today: then it is left as it is. `gross_micros` is what it cost before the rules of its tariff took
        something off, if they did: what depends on use is compared without it."""
        cdr = cdr_of(row, self._sources[row[_SOURCE]])
        version = self._version(row, cdr)
        if isinstance(version, str):
            return version
        if version is None:
            charge: Charge | str = Charge(0, 0, None, cdr.place)
        else:
            charge = version.rater.charge(cdr, row[_PROVIDER], row[_SERVICE])
        if isinstance(charge, str):
            return charge
        cost = row[_CHARGE] if gross_micros is None else gross_micros
        if (
            charge.charge_micros == cost
            and charge.billed_s == row[_BILLED]
            and charge.destination == row[_DESTINATION]
            and charge.place_called == row[_PLACE]
            and (not cost or self._currency(None if version is None else version.id) == self._currency(row[_TARIFF]))
        ):
            return None
        parts = None
        if version is not None and version.rater.rules is not None:
            _, stretches = version.rater.charge_in_parts(cdr, row[_PROVIDER], row[_SERVICE])
            if stretches:
                parts = self._directory.parts_of(
                    version.rater.rules, cdr, self._directory.accounts[row[_ACCOUNT]], stretches
                )
        return Correction(
            row[_ID], self._month_of(row[_START_AT]), charge.charge_micros, None if version is None else version.id,
            charge.billed_s, charge.destination, charge.place_called, parts,
        )  # fmt: skip

    def _version(self, row: Sequence[Any], cdr: CDR) -> TariffVersion | str | None:
        """What charges a transaction today; None for a call that costs nothing by whatever tariff, or the reason why
        nothing does."""
        directory = self._directory
        name, currency = directory.terms_of(row[_LINE], row[_ACCOUNT], row[_SERVICE], cdr.answer_at)
        version = None if name is None else directory.tariffs.in_force(name, cdr.answer_at)
        if version is None:
            return NO_RATE if cdr.quantity_us else None
        if version.rater.currency == currency:
            return version
        converted = version.in_currency(currency)
        return NO_CONVERSION if converted is None and cdr.quantity_us else converted or version

    def _currency(self, tariff: int | None) -> str | None:
        return None if tariff is None else self._currencies[tariff]

    def _month_of(self, at: int) -> int:
        """As `month_of`; transactions are read month by month."""
        if not self._month_at <= at < self._month_end:
            self._month = month_of(at)
            self._month_at, self._month_end = month_bounds(self._month)
        return self._month
