"""The words of a refusal: keys, values and types as TOML writes them, always on one line."""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def suggestion(word: str, options: Iterable[str]) -> str:
    """The remedy for a word that is none of `options`."""
    by_lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return (
        f"did you mean {quoted(by_lower[close[0]])}? " if close else ""
    ) + f"it is one of {listed(by_lower.values())}"


def dotted(path: Iterable[str]) -> str:
    """A path of keys as TOML writes it; names that are not bare keys are quoted (and so stay on one line)."""
    return ".".join(name if _BARE_KEY.fullmatch(name) else quoted(name) for name in path)


def quoted(text: str) -> str:
    """`text` in quotation marks, on one line, at most 60 characters of it."""
    return json.dumps(text if len(text) <= 60 else text[:59] + "…", ensure_ascii=False)


def listed(options: Iterable[str]) -> str:
    """Options as a sentence lists them."""
    return ", ".join(options)


def kind_of(value: object) -> str:
    """What TOML calls the type of a value."""
    # bool before int: in Python it is one, in TOML it is not.
    kinds = ((bool, "a boolean"), (int, "an integer"), (float, "a float"), (str, "a string"), (list, "an array"))
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    return "a table" if isinstance(value, dict) else "a date or time"
