"""A JSON object read strictly and exactly: bounded in depth, numbers never through a binary float."""

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any, Final

import msgspec

from mediation.formats.unreadable import MAX_LINE, Refused, decoded

MOST_PLAIN_DIGITS: Final = 1_000
"""Whole numbers of up to so many digits are written without an exponent."""
MAX_DEPTH: Final = 64
"""Lists and objects in each other."""
EXACT: Final = Context(prec=MAX_LINE + 32, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""Holds every number that fits on a line."""
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|$)|[\[\]{}]', re.DOTALL)
_MOST: Final = 10**18 - 1
"""Whole numbers up to it are written as such, greater ones like fractions."""

_decode_any: Final = msgspec.json.Decoder(float_hook=Decimal).decode
encode_sorted: Final = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
"""Equal values give equal bytes."""


def read_object(line: bytes) -> dict[str, Any]:
    """The fields of a line that holds one object. Raises Refused with what is wrong."""
    decoded(line)
    if _is_deep(line):
        raise Refused("malformed", f"nested more than {MAX_DEPTH} deep")
    try:
        fields = _decode_any(line)
    except ArithmeticError:
        raise Refused("malformed", "not JSON that can be read: a number is out of range") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise Refused("malformed", f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Refused("malformed", f"not a JSON object but a {kind_of(fields)}")
    return fields


def plain(value: Any) -> Any:
    """`value` with equal numbers made the same: 61.0 is 61."""
    if isinstance(value, Decimal) or (type(value) is int and abs(value) > _MOST):
        value = Decimal(value).normalize(EXACT)
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int)
        if exponent >= 0 and value.adjusted() < MOST_PLAIN_DIGITS:
            return int(value) if value.adjusted() < 18 else value.quantize(Decimal(1), context=EXACT)
        return value
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def kind_of(value: object) -> str:
    """What a person calls a value of this kind."""
    kinds = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", Decimal: "number"}
    return kinds.get(type(value), "null")


def _is_deep(line: bytes) -> bool:
    """Whether lists and objects are nested further than a decoder's stack should be trusted with."""
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _BRACKETS.findall(line):
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token in b"]}":
            depth -= 1
    return False
