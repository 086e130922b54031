"""The faults of a sender and its line: which batch suffers which is decided here, from a seed. Pure."""

import math
from dataclasses import dataclass, fields
from random import Random
from typing import Final

SYNTAX: Final = "dup=P,reorder=P,truncate=P,disconnect=P,delay=S"
"""How faults are written: probabilities of 0 to 1 a batch, seconds; what is left out is 0."""

_MOST_HELD_BACK: Final = 3
"""Later batches that may overtake one that is held back."""


class FaultError(ValueError):
    """The faults cannot be read; the message says which part and what would do."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often a batch suffers what. Each strikes a batch once at most, so even certain faults end."""

    dup: float = 0.0
    """Probability that a batch is sent again after it was acknowledged, or one of its records in a later batch."""
    reorder: float = 0.0
    """Probability that it is held back behind later ones."""
    truncate: float = 0.0
    """Probability that the line breaks in the middle of a record."""
    disconnect: float = 0.0
    """Probability that the line breaks when all is sent and the answer not yet read."""
    delay: float = 0.0
    """Seconds that every batch waits before it is sent."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """What befalls one batch."""

    held_back: int = 0
    """Later batches that go first."""
    delay_s: float = 0.0
    cut_at: float | None = None
    """Share of the body, above 0 and below 1, after which the line breaks."""
    leaves_early: bool = False
    """The line breaks before the answer is read."""
    sent_again: bool = False
    """The whole batch goes out once more, in its position, after it was acknowledged."""
    record_again: float | None = None
    """Where in the batch is the record that goes out once more in a later batch: a share of 0 to below 1."""


def parse_faults(text: str) -> Faults:
    """Read `dup=0.1,delay=0.5`; an empty text is no fault at all.

    Raises:
        FaultError: an unknown or repeated name, a probability outside 0 to 1, a negative or endless delay.
    """
    known = [field.name for field in fields(Faults)]
    values: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, number = part.partition("=")
        if name not in known or not equals:
            raise FaultError(f"faults: `{part}` is not one of {SYNTAX}")
        if name in values:
            raise FaultError(f"faults: `{name}` is given twice")
        values[name] = _parse_number(name, number)
    return Faults(**values)


def _parse_number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if name == "delay":
        if not 0 <= number < math.inf:
            raise FaultError(f"faults: delay takes seconds from 0, not `{text}`")
    elif not 0 <= number <= 1:
        raise FaultError(f"faults: {name} takes a probability from 0 to 1, not `{text}`")
    return number


def mishap_of(faults: Faults, seed: int, sequence: int) -> Mishap:
    """What befalls the batch of this sequence: the same each time it is asked, in whatever order.

    A function of the sequence, and not a draw from one stream, because answers arrive in an order that depends on time.
    """
    rng = Random(f"{seed}/mishap/{sequence}")
    held_back = rng.randint(1, _MOST_HELD_BACK) if rng.random() < faults.reorder else 0
    # the middle of the body: the very first and last bytes would make a cut that is none
    cut_at = rng.uniform(0.05, 0.95) if rng.random() < faults.truncate else None
    leaves_early = rng.random() < faults.disconnect
    is_repeated = rng.random() < faults.dup
    whole_batch = rng.random() < 0.5
    return Mishap(
        held_back=held_back,
        delay_s=faults.delay,
        cut_at=cut_at,
        leaves_early=leaves_early,
        sent_again=is_repeated and whole_batch,
        record_again=rng.random() if is_repeated and not whole_batch else None,
    )
