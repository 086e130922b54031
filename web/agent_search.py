"""An agent's own accounts, searched by rows of column, operator and value. Pure: what an account is like is given."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from multidict import MultiMapping

from rating.account import Account
from rating.money import parse_micros
from web.usage import AccountUsage

MOST_CONDITIONS: Final = 20
LONGEST_VALUE: Final = 200

TEXT_OPERATORS: Final = ("=", "!=", "begins", "contains", "empty")
MONEY_OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=", "between")
CHOICE_OPERATORS: Final = ("=", "!=")
STATUSES: Final = ("barred", "over the limit", "near the limit", "in order")
ENROLMENTS: Final = ("enrolled", "not enrolled")


@dataclass(frozen=True, slots=True)
class AgentAccount:
    """One of an agent's accounts, as of this moment."""

    used: AccountUsage
    due_micros: int
    """Billed and not paid; negative is in the account's favour."""
    enrolled: bool
    barred: bool
    lines: tuple[str, ...] = ()
    """Numbers of its lines, where they are asked for."""

    @property
    def status(self) -> str:
        """The worst that is to be said of it."""
        if self.barred:
            return "barred"
        return {"over": "over the limit", "near": "near the limit"}.get(self.used.state, "in order")

    @property
    def enrolment(self) -> str:
        """Whether it takes e-billing, in words."""
        return "enrolled" if self.enrolled else "not enrolled"


TEXTS: Final[dict[str, Callable[[Account], str | None]]] = {
    "account": lambda account: account.account,
    "name": lambda account: account.name,
    "email": lambda account: account.email,
    "currency": lambda account: account.currency,
    "segment": lambda account: account.segment,
}
"""Columns of accounts.csv: nothing has to be looked up for these."""
MONEY: Final[dict[str, Callable[[AgentAccount], int | None]]] = {
    "due": lambda one: one.due_micros,
    "owed": lambda one: one.used.exposure_micros,
    "left": lambda one: one.used.left_micros,
}
CHOICES: Final[dict[str, tuple[tuple[str, ...], Callable[[AgentAccount], str]]]] = {
    "status": (STATUSES, lambda one: one.status),
    "enrolment": (ENROLMENTS, lambda one: one.enrolment),
}
COLUMNS: Final = {
    "account": "Account", "name": "Name", "email": "E-mail", "line": "Line", "status": "Status",
    "due": "Balance due", "owed": "Owed in all", "left": "Left of the limit", "enrolment": "Online bills",
    "currency": "Currency", "segment": "Segment",
}  # fmt: skip
"""The columns of conditions, in words."""


class SearchRefused(Exception):
    """A row that means nothing: which, in which of its fields, and why."""

    def __init__(self, row: int, field: str, words: str) -> None:
        super().__init__(f"Row {row + 1}: {words}")
        self.row, self.field = row, field


@dataclass(frozen=True, slots=True)
class Condition:
    """One row that was understood."""

    column: str
    op: str
    text: str
    """The value as it is compared: folded, or the digits of a line."""
    amounts: tuple[int, ...] = ()

    @property
    def is_provisioned(self) -> bool:
        """Whether accounts.csv alone tells."""
        return self.column in TEXTS

    def of_account(self, account: Account) -> bool:
        """Whether a provisioned column fulfils it."""
        return _holds_text(self, TEXTS[self.column](account) or "")

    def of(self, one: AgentAccount) -> bool:
        """Whether an account fulfils it."""
        if self.column == "line":
            return _holds_lines(self, one.lines)
        if self.column in MONEY:
            return _holds_amount(self, MONEY[self.column](one))
        if self.column in CHOICES:
            return (CHOICES[self.column][1](one) == self.text) is (self.op == "=")
        return self.of_account(one.used.account)


def rows_of(query: MultiMapping[str]) -> list[tuple[str, str, str]]:
    """Column, operator and value of each row as typed; rows without a column are nothing."""
    columns, ops, values = (query.getall(name, []) for name in ("column", "op", "value"))
    typed = list(zip(columns, ops, values, strict=False))[:MOST_CONDITIONS]
    return [(column, op, value[:LONGEST_VALUE]) for column, op, value in typed if column or value]


def parse(rows: Sequence[tuple[str, str, str]]) -> list[Condition]:
    """The conditions of some rows. Raises SearchRefused."""
    return [_condition(number, *row) for number, row in enumerate(rows)]


def matching(conditions: Iterable[Condition], account: Account) -> bool:
    """Whether an account fulfils those conditions that accounts.csv tells."""
    return all(condition.of_account(account) for condition in conditions if condition.is_provisioned)


def sentence(conditions: Sequence[Condition], rows: Sequence[tuple[str, str, str]], operators: dict[str, str]) -> str:
    """What is shown, in words."""
    told = (
        f"{COLUMNS[condition.column].lower()} {operators[op]} {value}".rstrip()
        for condition, (_, op, value) in zip(conditions, rows, strict=True)
    )
    return " and ".join(told)


def _condition(number: int, column: str, op: str, value: str) -> Condition:
    value = value.strip()
    if column not in COLUMNS:
        raise SearchRefused(number, "column", "choose a column")
    allowed = MONEY_OPERATORS if column in MONEY else CHOICE_OPERATORS if column in CHOICES else TEXT_OPERATORS
    if op not in allowed:
        raise SearchRefused(number, "op", "this operator does not go with that column; choose another")
    if op == "empty":
        return Condition(column, op, "")
    if not value:
        raise SearchRefused(number, "value", "give a value, or take the row away")
    if column in CHOICES:
        choices = CHOICES[column][0]
        if value.lower() not in choices:
            raise SearchRefused(number, "value", f"“{value[:40]}” is none of {', '.join(choices)}")
        return Condition(column, op, value.lower())
    if column in MONEY:
        return Condition(column, op, "", _amounts(number, op, value))
    if column == "line":
        return Condition(column, op, _line(value))
    return Condition(column, op, value.casefold())


def _amounts(number: int, op: str, value: str) -> tuple[int, ...]:
    parts = value.split("..") if op == "between" else [value]
    if op == "between" and len(parts) != 2:
        raise SearchRefused(number, "value", f"“{value[:40]}” is no range: write A..B, such as 10..20")
    try:
        return tuple(_signed(part.strip()) for part in parts)
    except ValueError:
        raise SearchRefused(number, "value", f"“{value[:40]}” is no amount: write a decimal such as 25.00") from None


def _signed(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[:1] in ("-", "−") else (1, text)
    return sign * parse_micros(digits)


def _line(value: str) -> str:
    """A line's number, or a part of one, as it is stored: without + and what people put between digits."""
    digits = "".join(character for character in value.lstrip("+") if character not in " -().")
    return digits if digits.isdigit() else value.casefold()


def _holds_text(condition: Condition, text: str) -> bool:
    text = text.casefold()
    match condition.op:
        case "=":
            return text == condition.text
        case "!=":
            return text != condition.text
        case "begins":
            return text.startswith(condition.text)
        case "contains":
            return condition.text in text
    return not text


def _holds_lines(condition: Condition, lines: Sequence[str]) -> bool:
    """One of them is enough; but that it is not a line is said of all of them."""
    if condition.op == "empty":
        return not lines
    held = (_holds_text(condition, line) for line in lines)
    return all(held) if condition.op == "!=" else any(held)


def _holds_amount(condition: Condition, micros: int | None) -> bool:
    if micros is None:
        return False
    first, last = condition.amounts[0], condition.amounts[-1]
    match condition.op:
        case "=":
            return micros == first
        case "!=":
            return micros != first
        case "<":
            return micros < first
        case "<=":
            return micros <= first
        case ">":
            return micros > first
        case ">=":
            return micros >= first
    return first <= micros <= last
