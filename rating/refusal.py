"""How a tariff is refused: one exception, a line of text for each thing that is wrong."""

from typing import Final

MAX_TOLD: Final = 20
"""Most errors of a deck that are told one by one; of the others only how many they are."""


class TariffError(Exception):
    """A tariff that is refused whole.

    Each error is one line, `FILE: KEY or line N, column: what is wrong; the remedy`, fit for stderr as it is; the
    message has them all.
    """

    def __init__(self, *errors: str) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class Complaints:
    """What is wrong with a deck, gathered while it is read, so that it is mended in one go."""

    def __init__(self) -> None:
        self.number = 0
        self._told: list[str] = []

    def add(self, where: str, what: str, remedy: str) -> None:
        """One more; the arguments are those of `refusal`."""
        self.number += 1
        if len(self._told) < MAX_TOLD:
            self._told.append(_line(where, what, remedy))

    def end(self, name: str) -> None:
        """Raises TariffError if there are any. `name` is the deck's."""
        if self.number > len(self._told):
            raise TariffError(*self._told, f"{name}: and {self.number - len(self._told)} more")
        if self.number:
            raise TariffError(*self._told)


def refusal(where: str, what: str, remedy: str) -> TariffError:
    """The error to raise for `where` (file, and key or line); a line end inside a part becomes a blank."""
    return TariffError(_line(where, what, remedy))


def shown(value: object) -> str:
    """A value from a file as a message may quote it: printable, and not longer than about 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _line(where: str, what: str, remedy: str) -> str:
    return " ".join(f"{where}: {what}; {remedy}".splitlines())
