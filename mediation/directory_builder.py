"""Makes the directory that records are guided and rated by, of what is provisioned in the store."""

from rating.directory import ALWAYS, Directory, TariffBook, TariffVersion
from rating.rater import Rater
from rating.store.port import Provisioned
from rating.tariff import TariffText, parse_tariff


class DirectoryBuilder:
    """Makes directories of what is provisioned; a tariff's rater is built once, however often others are imported."""

    def __init__(self, default_tariff: str | None) -> None:
        self.default_tariff = default_tariff
        self._versions: dict[int, TariffVersion] = {}

    def use_default_tariff(self, name: str | None) -> None:
        """Rates from the next `build` on by this tariff where no other is named."""
        self.default_tariff = name

    def build(self, provisioned: Provisioned) -> Directory:
        """The directory of all accounts, lines and tariffs. Raises TariffError for a stored tariff that a newer
        program refuses."""
        self._versions = {number: self._version(number, text) for number, text in provisioned.tariffs}
        book = TariffBook(self._versions.values())
        return Directory(provisioned.accounts, provisioned.lines, book, self.default_tariff)

    def _version(self, number: int, text: TariffText) -> TariffVersion:
        known = self._versions.get(number)
        if known is not None:
            return known
        tariff = parse_tariff(text)
        valid_from_at = ALWAYS if tariff.valid_from_at is None else tariff.valid_from_at
        return TariffVersion(number, tariff.name, valid_from_at, Rater(tariff))
