"""In which fields of a suspended record its reason lies."""

from typing import Any

import pytest

from mediation.formats import Unreadable
from web.suspended import wrong_fields

CALL = {"id": "a", "calling": "+1", "called": "+2", "start": "s"}


def refused(detail: str, reason: str = "malformed") -> Unreadable:
    return Unreadable(reason, detail, b"")


@pytest.mark.parametrize(
    ("reason", "fields", "unreadable", "wrong"),
    [
        ("unknown-line", CALL, None, ("calling",)),
        ("unknown-line", CALL | {"type": "collect"}, None, ("called",)),
        ("unknown-line", CALL | {"type": "calling-card"}, None, ("charge_to",)),
        ("no-rate", CALL, None, ("called",)),
        ("no-rate", CALL | {"type": "toll-free"}, None, ("calling",)),
        ("conflict", CALL, None, ("id", "start")),
        ("future", CALL, None, ("start",)),
        ("no-conversion", CALL, None, ()),
        ("malformed", CALL, refused("duration is missing"), ("duration",)),
        ("malformed", CALL | {"duration": "x"}, refused("duration is a string, not a number"), ("duration",)),
        ("bad-number", CALL, refused("called '+2' is not E.164", "bad-number"), ("called",)),
        ("bad-number", {"src": "x"}, refused("src 'x' is not E.164", "bad-number"), ("src",)),
        ("malformed", {}, refused("not JSON: it ends too early"), ()),
    ],
)
def test_the_reason_lies_in_a_field(
    reason: str, fields: dict[str, Any], unreadable: Unreadable | None, wrong: tuple[str, ...]
) -> None:
    assert wrong_fields(reason, fields, unreadable) == wrong
