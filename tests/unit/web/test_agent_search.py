"""An agent's search by rows of column, operator and value: what each finds, and what is refused in which field."""

from decimal import Decimal
from typing import Any

import pytest
from multidict import MultiDict

from rating.cdr import MICROS
from rating.counter_parts import Usage
from tests.builders import an_account
from web.agent_search import (
    COLUMNS,
    MOST_CONDITIONS,
    AgentAccount,
    SearchRefused,
    matching,
    parse,
    rows_of,
    sentence,
)
from web.pages.agent import OPERATORS
from web.pages.calls import OPERATOR_WORDS
from web.usage import AccountUsage


def one(
    *, due: str = "0", owed: int = 0, enrolled: bool = False, barred: bool = False, lines: tuple[str, ...] = (),
    **account: Any,
) -> AgentAccount:  # fmt: skip
    nothing = Usage("", "month", 0, 0, 0, 0, 0)
    used = AccountUsage(an_account(**account), nothing, nothing, owed * MICROS)
    return AgentAccount(used, int(Decimal(due) * MICROS), enrolled, barred, lines)


def holds(account: AgentAccount, column: str, op: str, value: str = "") -> bool:
    (condition,) = parse([(column, op, value)])
    return condition.of(account)


@pytest.mark.parametrize(
    ("column", "op", "value", "found"),
    [
        ("account", "=", "4000012345", True),
        ("account", "begins", "40000", True),
        ("account", "begins", "12345", False),
        ("account", "contains", "12345", True),
        ("name", "=", "ada lovelace", True),
        ("name", "=", "ada", False),
        ("name", "!=", "ada", True),
        ("name", "contains", "LOVE", True),
        ("email", "empty", "", True),
        ("email", "contains", "@", False),
        ("segment", "=", "business", False),
        ("currency", "=", "usd", True),
    ],
)
def test_what_is_provisioned_is_compared_as_text(column: str, op: str, value: str, found: bool) -> None:
    assert holds(one(), column, op, value) is found
    (condition,) = parse([(column, op, value)])
    assert condition.is_provisioned
    assert matching([condition], an_account()) is found


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("=", "25.5", True), ("=", "25.51", False), ("!=", "25.5", False), (">", "25.50", False), (">", "25.49", True),
        (">=", "25.50", True), ("<", "25.50", False), ("<", "-1", False), ("<=", "25.50", True),
        ("between", "20..30", True), ("between", "25.5..25.5", True), ("between", "30..20", False),
        ("between", "-5 .. 10", False),
    ],
)  # fmt: skip
def test_amounts_are_compared_as_amounts(op: str, value: str, found: bool) -> None:
    assert holds(one(due="25.5"), "due", op, value) is found


def test_an_account_with_money_to_its_credit_is_found() -> None:
    assert holds(one(due="-3"), "due", "<", "0")
    assert holds(one(due="-3"), "due", "=", "−3")


def test_without_a_limit_nothing_is_said_of_what_is_left() -> None:
    assert not any(holds(one(), "left", op, "0") for op in ("=", "!=", "<", ">"))
    assert holds(one(owed=90, credit_limit_micros=100 * MICROS), "left", "=", "10")


@pytest.mark.parametrize(
    ("account", "status"),
    [
        (one(), "in order"),
        (one(owed=79, credit_limit_micros=100 * MICROS), "in order"),
        (one(owed=80, credit_limit_micros=100 * MICROS), "near the limit"),
        (one(owed=101, credit_limit_micros=100 * MICROS), "over the limit"),
        (one(owed=101, credit_limit_micros=100 * MICROS, barred=True), "barred"),
        (one(barred=True), "barred"),
    ],
)
def test_the_status_is_the_worst_that_is_to_be_said(account: AgentAccount, status: str) -> None:
    assert account.status == status
    assert holds(account, "status", "=", status.upper())
    assert not holds(account, "status", "!=", status)


def test_enrolled_is_told_from_not_enrolled() -> None:
    assert holds(one(enrolled=True), "enrolment", "=", "enrolled")
    assert not holds(one(enrolled=False), "enrolment", "=", "enrolled")
    assert holds(one(enrolled=False), "enrolment", "=", "not enrolled")


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("=", "+1 (212) 555-0142", True), ("=", "12125550142", True), ("=", "12125550199", False),
        ("begins", "+1212", True), ("contains", "5550142", True), ("contains", "sip:ADA@", True),
        ("!=", "12125550142", False), ("!=", "12125550199", True), ("empty", "", False),
    ],
)  # fmt: skip
def test_one_of_the_lines_is_enough(op: str, value: str, found: bool) -> None:
    assert holds(one(lines=("12125550142", "sip:ada@example.net")), "line", op, value) is found


def test_an_account_without_lines_is_found_as_such() -> None:
    assert holds(one(), "line", "empty")
    assert holds(one(), "line", "!=", "12125550142")
    assert not holds(one(), "line", "=", "12125550142")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (("", "=", "x"), "column"),
        (("agent", "=", "bob"), "column"),
        (("name", ">", "x"), "op"),
        (("due", "contains", "1"), "op"),
        (("status", "begins", "in"), "op"),
        (("name", "near", "x"), "op"),
        (("name", "=", " "), "value"),
        (("due", ">", "much"), "value"),
        (("due", ">", "1e3"), "value"),
        (("due", "between", "1"), "value"),
        (("due", "between", "1..2..3"), "value"),
        (("status", "=", "fine"), "value"),
        (("enrolment", "=", "true"), "value"),
    ],
)
def test_what_means_nothing_is_refused_in_its_field(row: tuple[str, str, str], field: str) -> None:
    with pytest.raises(SearchRefused, match=r"^Row 2: ") as refused:
        parse([("name", "=", "Ada"), row])
    assert (refused.value.row, refused.value.field) == (1, field)


def test_rows_are_read_in_step_and_empty_ones_are_nothing() -> None:
    query = MultiDict(
        [("column", "name"), ("op", "="), ("value", "Ada"), ("column", ""), ("op", "="), ("value", ""),
         ("column", "due"), ("op", ">"), ("value", "1")]
    )  # fmt: skip
    assert rows_of(query) == [("name", "=", "Ada"), ("due", ">", "1")]
    assert rows_of(MultiDict([("column", "name")])) == []
    assert len(rows_of(MultiDict([("column", "name"), ("op", "="), ("value", "x")] * 100))) == MOST_CONDITIONS


def test_a_sentence_says_what_is_asked_for() -> None:
    rows = [("due", ">", "1"), ("name", "contains", "Ada"), ("email", "empty", "")]
    assert sentence(parse(rows), rows, OPERATOR_WORDS) == "balance due over 1 and name contains Ada and e-mail is empty"


def test_every_column_takes_one_of_the_operators_that_are_offered() -> None:
    for column in COLUMNS:
        taken = []
        for op in OPERATORS:
            for value in ("1", "1..2", "barred", "enrolled"):
                try:
                    taken += parse([(column, op, value)])
                except SearchRefused:
                    continue
        assert taken, column
