"""Makes the directory that records are guided and rated by, of what is provisioned in the store."""

import msgspec

from rating.directory import Directory, TariffBook, TariffVersion
from rating.line_services import ALWAYS
from rating.rater import Rater
from rating.store.provisioned import Provisioned
from rating.tariff import TariffText, parse_tariff


class DirectoryBuilder:
    """Makes directories of what is provisioned; a tariff's rater is built once, however often others are imported."""

    def __init__(self, default_tariff: str | None, *, guides: bool = True) -> None:
        """`guides`: whether records are guided by its directories. If not they have no lines, which take much memory
        and may be left out of what is provisioned."""
        self.default_tariff = default_tariff
        self.guides = guides
        self._versions: dict[int, TariffVersion] = {}

    def use_default_tariff(self, name: str | None) -> None:
        """Rates from the next `build` on by this tariff where no other is named."""
        self.default_tariff = name

    def build(self, provisioned: Provisioned) -> Directory:
        """The directory of all accounts, lines and tariffs. Raises TariffError for a stored tariff that a newer
        program refuses."""
        versions = [
            self._version(number, text, provisioned.conversions.get(number, {})) for number, text in provisioned.tariffs
        ]
        self._versions = {version.id: version for version in versions}
        return Directory(
            provisioned.accounts,
            provisioned.lines,
            TariffBook(versions),
            self.default_tariff,
            provisioned.favourites,
            provisioned.numbers,
        )

    def _version(self, number: int, text: TariffText, conversions: dict[str, int]) -> TariffVersion:
        version = self._versions.get(number)
        if version is None:
            tariff = parse_tariff(text)
            valid_from_at = ALWAYS if tariff.valid_from_at is None else tariff.valid_from_at
            version = TariffVersion(number, tariff.name, valid_from_at, Rater(tariff))
        if conversions.keys() == version.converted.keys():
            return version
        tariff = version.rater.tariff
        converted = {
            currency: TariffVersion(own, tariff.name, version.valid_from_at, Rater(tariff, currency))
            for currency, own in conversions.items()
        }
        return msgspec.structs.replace(version, converted=converted)
