"""What an import takes, and a person should look at: names of tariffs and switches that nothing is behind yet."""

import csv
import io
from collections.abc import Iterable

from mediation.cli.options import reading
from mediation.config import Config
from mediation.imported import CSVFile
from rating.store.provisioning import tariff_terms

_NAMED = 5


def warnings_of(config: Config, kind: str, file: object) -> list[str]:
    """In words, of a file that was imported."""
    if not isinstance(file, CSVFile) or kind not in ("accounts", "lines"):
        return []
    with reading(config) as cx:
        tariffs = {name for name, _, _ in tariff_terms(cx).values()}
    told = _missing(file, "tariff", "tariff", tariffs, "nothing is rated by it until it is imported")
    if kind == "lines":
        switches = (switch.name for switch in config.switches)
        told += _missing(file, "switch", "switch", switches, "nothing is barred there until [switches.NAME] says how")
    return told


def _missing(file: CSVFile, column: str, what: str, known: Iterable[str], so: str) -> list[str]:
    rows = csv.DictReader(io.StringIO(file.text, newline=""), skipinitialspace=True)
    rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
    missing = sorted({(row.get(column) or "").strip() for row in rows} - {"", *known})
    if not missing:
        return []
    names = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
    return [f"there is no {what} {names}: {so}"]
