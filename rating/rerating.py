"""What stored transactions cost by today's tariffs: which of them are to be charged again. Pure."""

from collections.abc import Mapping
from typing import Final

from rating.cdr import CDR
from rating.directory import Directory, TariffVersion
from rating.rater import Charge
from rating.store.batch import COLUMN, Row
from rating.store.partitions import month_of
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

    def price(self, row: Row, gross_micros: int | None = None) -> Correction | str | None:
        """The correction of a transaction (its `COLUMNS`); None if it costs what it did, or the reason why it has no
        charge today: then it is left as it is. `gross_micros` is what it cost before the rules of its tariff took
        something off, if they did: what depends on use is compared without it."""
        cdr = cdr_of(row, self._sources[row[_SOURCE]])
        made = self._rate(row, cdr)
        if isinstance(made, str):
            return made
        version, charge = made
        cost = row[_CHARGE] if gross_micros is None else gross_micros
        told = charge.charge_micros, charge.billed_s, charge.destination, charge.place_called
        number = None if version is None else version.id
        if told == (cost, row[_BILLED], row[_DESTINATION], row[_PLACE]) and (
            not charge.charge_micros or self._currency(number) == self._currency(row[_TARIFF])
        ):
            return None
        parts = None
        if version is not None and version.rater.rules is not None:
            _, stretches = version.rater.charge_in_parts(cdr, row[_PROVIDER], row[_SERVICE])
            if stretches:
                parts = self._directory.parts_of(version.rater.rules, cdr, row[_ACCOUNT], stretches)
        return Correction(row[_ID], month_of(row[_START_AT]), told[0], number, *told[1:], parts)

    def _rate(self, row: Row, cdr: CDR) -> tuple[TariffVersion | None, Charge] | str:
        directory = self._directory
        name = directory.tariff_of(row[_LINE], row[_ACCOUNT], row[_SERVICE], cdr.answer_at)
        version = None if name is None else directory.tariffs.in_force(name, cdr.answer_at)
        if version is None:
            return NO_RATE if cdr.quantity_us else (None, Charge(0, 0, None, cdr.place))
        converted = version.in_currency(directory.accounts[row[_ACCOUNT]].currency)
        if converted is None and cdr.quantity_us:
            return NO_CONVERSION
        version = converted or version
        charge = version.rater.charge(cdr, row[_PROVIDER], row[_SERVICE])
        return charge if isinstance(charge, str) else (version, charge)

    def _currency(self, tariff: int | None) -> str | None:
        return None if tariff is None else self._currencies[tariff]
