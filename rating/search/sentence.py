"""What a page shows, in one sentence: “18 calls over $2.00 to London since 1 Nov 2026”."""

from collections.abc import Sequence
from typing import Final

from rating.search.conditions import Condition
from rating.search.totals import Totals

_ORDER: Final = (
    "service", "type", "provider", "charge", "duration", "account", "line", "called", "destination", "place", "country",
    "device", "start",
)  # fmt: skip

_PHRASES: Final = {
    "charge": {
        "=": "costing {}", "!=": "not costing {}", "<": "under {}", "<=": "of {} or less", ">": "over {}",
        ">=": "of {} or more", "between": "costing {} to {}", "in": "costing {}", "empty": "without a charge",
    },
    "duration": {
        "=": "lasting {}", "!=": "not lasting {}", "<": "shorter than {}", "<=": "of {} or shorter",
        ">": "longer than {}", ">=": "of {} or longer", "between": "lasting {} to {}", "in": "lasting {}",
        "empty": "without a duration",
    },
    "start": {
        "=": "at {}", "!=": "not at {}", "<": "before {}", "<=": "up to {}", ">": "after {}", ">=": "since {}",
        "between": "from {} to {}", "in": "at {}", "empty": "without a start",
    },
    "country": {"=": "to {}", "!=": "not to {}", "in": "to {}", "empty": "to no country"},
}  # fmt: skip
_TEXT_PHRASES: Final = {
    "=": "{how} {}", "!=": "not {how} {}", "in": "{how} {}", "begins": "{how} {noun} that begins with “{}”",
    "contains": "{how} {noun} that contains “{}”", "empty": "without {noun}",
}  # fmt: skip
_HOW: Final = {
    "service": ("by", "a service"),
    "type": ("of type", "a type"),
    "provider": ("through", "a provider"),
    "account": ("of account", "an account"),
    "line": ("on line", "a line"),
    "called": ("to", "a number"),
    "destination": ("to", "a destination"),
    "place": ("to", "a place"),
    "device": ("from device", "a device"),
}
_NOUN_ALONE: Final = {
    "type": "of", "account": "of", "line": "on", "device": "from",
}  # fmt: skip
"""The word before the noun, where the column's own already holds it."""


def sentence(conditions: Sequence[Condition], totals: Totals | None) -> str:
    """What the conditions let through, with how many there are where that is known."""
    parts = []
    for column in _ORDER:
        phrases = [_phrase(condition) for condition in conditions if condition.column == column]
        if phrases:
            parts.append(" and ".join(phrases))
    return " ".join([_calls(totals), *parts])


def _calls(totals: Totals | None) -> str:
    if totals is None:
        return "Calls"
    return "No calls" if totals.count == 0 else f"{totals.count:,} call{'' if totals.count == 1 else 's'}"


def _phrase(condition: Condition) -> str:
    column, op = condition.column, condition.op
    shown = [operand.shown for operand in condition.operands]
    if op == "in":
        shown = [_listed(shown)]
    if column in _PHRASES:
        phrase = _PHRASES[column][op].format(*shown)
        is_day = column == "start" and any(operand.is_day for operand in condition.operands)
        return phrase.replace("at ", "on ", 1) if is_day and op in ("=", "!=", "in") else phrase
    how, noun = _HOW[column]
    if op in ("begins", "contains"):
        how = _NOUN_ALONE.get(column, how)
    return _TEXT_PHRASES[op].format(*shown, how=how, noun=noun)


def _listed(shown: Sequence[str]) -> str:
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
