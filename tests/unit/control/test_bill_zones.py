"""The zone of a bill is read from the beginning of its document, however the document goes on."""

import sqlite3
from contextlib import closing
from zoneinfo import ZoneInfo

import msgspec
import pytest

from control.billing.bill import Document, pack
from control.billing.bill_zones import first_text, zones_of
from tests.unit.control.test_bill_parts import a_document

NAMES = ["UTC", "America/New_York", "America/Argentina/ComodRivadavia"]


@pytest.mark.parametrize("document", [Document("UTC", []), a_document([3, 1], [2]), a_document([2_000])])
def test_each_bill_has_its_own(document: Document) -> None:
    with closing(sqlite3.connect(":memory:")) as cx:
        cx.execute("CREATE TABLE bills (number INTEGER PRIMARY KEY, document BLOB)")
        for number, name in enumerate(NAMES):
            cx.execute(
                "INSERT INTO bills VALUES (?, ?)", (number, pack(msgspec.structs.replace(document, timezone=name)))
            )
        assert zones_of(cx, [2, 0, 1]) == {number: ZoneInfo(name) for number, name in enumerate(NAMES)}


@pytest.mark.parametrize("length", [0, 1, 31, 32, 255])
def test_a_text_is_read_whatever_its_length(length: int) -> None:
    assert first_text(msgspec.msgpack.encode(["x" * length, [1, 2], "more"])) == "x" * length
