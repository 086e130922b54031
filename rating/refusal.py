"""How a tariff is refused: one exception, one line of text."""


class TariffError(Exception):
    """A tariff that is refused whole.

    The message is one line, `FILE: KEY or line N, column: what is wrong; the remedy`, fit for stderr as it is.
    """


def refusal(where: str, what: str, remedy: str) -> TariffError:
    """The error to raise for `where` (file, and key or line); a line end inside a part becomes a blank."""
    return TariffError(" ".join(f"{where}: {what}; {remedy}".splitlines()))


def shown(value: object) -> str:
    """A value from a file as a message may quote it: printable, and not longer than about 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
