"""JSON bodies of unsafe calls: read into structs, or refused in words; and instants in them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from rating.money import parse_micros
from web.refusals import Refused

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: Final = re.compile(r"Expected ([a-z |]+), got ([a-z]+)")
_NAMES: Final = {
    "str": "a text in quotes", "int": "a whole number", "float": "a number", "bool": "true or false",
    "array": "a list in brackets", "object": "an object in braces", "null": "null",
}  # fmt: skip
"""The kinds of JSON, as msgspec calls them and as people are told them."""
_WHERE: Final = re.compile(r" - at `\$\.?(.*)`$")


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The body. Raises Refused: 400 for what is no JSON, 415 where it is packed, 422 for JSON that is no `kind`."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(415, "send the body as plain JSON, without Content-Encoding")
    body = await request.read()
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(422, in_words(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None


def in_words(error: str) -> str:
    """What msgspec says of a body, with the field in front."""
    found = _WHERE.search(error)
    said = error[: found.start()] if found else error
    said = said.replace("`", "").replace("Object contains unknown field", "there is no field")
    said = said.replace("Object missing required field", "this field is missing:")
    if kinds := _KINDS.fullmatch(said):
        said = _of_another_kind(found[1] if found else "", kinds[1].split(" | "), kinds[2])
    return f"{found[1]}: {said}" if found else said


def _of_another_kind(where: str, wanted: list[str], got: str) -> str:
    """What is said of a value of one kind of JSON where another one is wanted."""
    if where == "amount" and got in ("int", "float"):
        return 'an amount is a decimal in quotes: write it as "5.00"'
    names = [_NAMES.get(kind, kind) for kind in wanted]
    return f"{_NAMES.get(got, got)} cannot stand here: write {' or '.join(names)}"


def micros_of(name: str, text: str | None) -> int | None:
    """Micro-units of a decimal. Raises Refused."""
    if text is None:
        return None
    try:
        return parse_micros(text)
    except ValueError as error:
        raise Refused(422, f"{name}: {error}") from None


def instant_of(name: str, text: str | None) -> int | None:
    """µs UTC of an RFC 3339 instant. Raises Refused."""
    if text is None:
        return None
    try:
        moment = msgspec.convert(text, datetime)
        if moment.tzinfo is None:
            raise ValueError(text)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (msgspec.ValidationError, ValueError, OverflowError):
        raise Refused(422, f"{name}: “{text[:60]}” is not an RFC 3339 instant with an offset") from None
