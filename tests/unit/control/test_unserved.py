"""Bars that no switch can carry out are told, with the services that there are."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from control.events.definition_json import parse_event
from control.events.unserved import warnings_of
from mediation.schema import all_migrations
from rating.store.migrations import migrate
from tests.builders import NOW

FAX = "no line has “fax” at a switch, so nothing of it is barred; "


@pytest.fixture
def cx() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as cx:
        migrate(cx, all_migrations(), NOW)
        yield cx


def bar(*services: str) -> dict[str, object]:
    return {"do": "bar", "services": list(services)}


@pytest.mark.parametrize(
    ("lines", "respond", "warned"),
    [
        ([("voice", "kam1")], [bar("voice")], []),
        ([("voice", "kam1")], [{"do": "disconnect"}], []),
        ([], [], []),
        ([("voice", "kam1"), ("data", "nas1")], [bar("voice", "fax")], [FAX + "at switches are data, voice"]),
        ([("voice", "kam1"), ("fax", None)], [bar("fax"), bar("fax")], [FAX + "at switches are voice"]),
        ([("fax", None)], [bar("fax")], [FAX + "no line names a switch"]),
    ],
)
def test_a_service_that_no_line_has_at_a_switch_is_told_once(
    cx: sqlite3.Connection, lines: list[tuple[str, str | None]], respond: list[dict[str, object]], warned: list[str]
) -> None:
    cx.executemany(
        "INSERT INTO lines (shard, line, service, from_on, account, provider, switch, position)"
        " VALUES (0, '1', ?, '', '7', 'T', ?, 1)",
        lines,
    )
    when = {"measure": "charges", "period": "month", "above": "1"}
    event = parse_event({"accounts": {"all": True}, "name": "x", "when": when, "respond": respond})
    assert warnings_of(cx, event) == warned
