"""The ways in which an event's condition can come true: combinations of single conditions that are enough together."""

from itertools import product
from typing import Final

from control.events.definition import Condition, Several, When

MOST_TERMS: Final = 64

Term = tuple[int, ...]
"""Numbers of conditions, in the order in which they are written, that must all hold."""


class TooManyTerms(Exception):
    """There are more combinations than anybody could have meant."""


def terms_of(when: When) -> tuple[Term, ...]:
    """The event holds if all conditions of one of these do. Raises TooManyTerms."""
    return tuple(dict.fromkeys(_terms(when, [0])))


def _terms(when: When, counted: list[int]) -> list[Term]:
    if type(when) is Condition:
        counted[0] += 1
        return [(counted[0] - 1,)]
    assert type(when) is Several
    parts = [_terms(part, counted) for part in when.of]
    terms = [term for part in parts for term in part] if when.how == "any" else _combined(parts)
    if len(terms) > MOST_TERMS:
        raise TooManyTerms(f"can come true in more than {MOST_TERMS} ways")
    return terms


def _combined(parts: list[list[Term]]) -> list[Term]:
    ways = 1
    for part in parts:
        ways *= len(part)
    if ways > MOST_TERMS:
        raise TooManyTerms(f"can come true in more than {MOST_TERMS} ways")
    return [tuple(sorted(number for term in combination for number in term)) for combination in product(*parts)]
