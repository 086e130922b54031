"""Lists of the API: `limit` and `after`, read strictly."""

from typing import Final

from multidict import MultiMapping

from web.refusals import Refused

ROWS: Final = 50
MOST_ROWS: Final = 500
_LONGEST_KEY: Final = 1_000


def limit_of(query: MultiMapping[str]) -> int:
    """Rows of a page. Raises Refused."""
    text = query.get("limit", "")
    if not text:
        return ROWS
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_ROWS):
        raise Refused(422, f"limit: “{text[:20]}” is no number of rows; write 1 to {MOST_ROWS}")
    return int(text)


def key_of(query: MultiMapping[str]) -> str:
    """After what the page begins, in the list's own words; empty for the first. Raises Refused."""
    text = query.get("after", "")
    if len(text) > _LONGEST_KEY or not text.isprintable():
        raise no_key()
    return text


def number_after(query: MultiMapping[str]) -> int | None:
    """The same for a list whose keys are numbers; None for the first page. Raises Refused."""
    text = key_of(query)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise no_key()
    return int(text)


def known_only(query: MultiMapping[str], *names: str) -> None:
    """Refuse parameters that mean nothing here: a filter that is misspelt would show everything."""
    for name in query:
        if name not in names:
            told = f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else "there are none here"
            raise Refused(422, f"there is no parameter “{name[:40]}”: {told}")


def no_key() -> Refused:
    """What is said of a key that no page of the list has named."""
    return Refused(422, "after: it is no key of this list; begin with its first page")
