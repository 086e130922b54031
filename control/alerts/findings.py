"""What alerts tell of a firing: the conditions that held, of its trace, which the store keeps. So the same is told once
the bars are confirmed as when it fired."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from control.alerts.alert import Finding
from control.events.definition import FILTERS, OF_MONEY
from rating.cdr import MICROS


def findings_of(trace: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """The conditions that held, of a trace as `evaluation.trace` makes it; those of older versions name no limit, and
    are left out."""
    return tuple(_finding(told) for told in trace if told["holds"] and "limit" in told)


def _finding(told: Mapping[str, Any]) -> Finding:
    measure = told["measure"]
    return Finding(
        measure=measure,
        measured=_number(measure, told, "value"),
        threshold=_number(measure, told, "limit"),
        relation=told["relation"],
        period=told["period"],
        of=", ".join(_text(told[name]) for name in FILTERS if name in told),
        basis=told.get("basis", ""),
    )


def _number(measure: str, told: Mapping[str, Any], name: str) -> int:
    if measure == "minutes":  # which are written to the ten-thousandth; their seconds exactly
        return _millionths(told[f"{name}_s"])
    return _millionths(told[name]) if measure in OF_MONEY else int(told[name])


def _millionths(text: str) -> int:
    return int(Decimal(text) * MICROS)


def _text(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
