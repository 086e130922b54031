"""An account's charges by local day: for the chart of its first page."""

import sqlite3
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rating.account import Account
from rating.cdr import MICROS
from rating.search.reach import SEGMENT, as_json, one_value, partitions_between
from rating.search.seeking import lines_of

_QUARTER_US: Final = 900 * MICROS
"""Charges are summed by quarters of an hour in SQL: every zone's midnights lie between two of them."""
_START_BEFORE_ANSWER_US: Final = 86_400 * MICROS
"""A call is kept in the month of its start, and counts on the day of its answer: so much earlier it may have begun."""


def charges_by_day(cx: sqlite3.Connection, account: Account, now: int, days: int = 30) -> list[tuple[datetime, int]]:
    """The charges of the last days, each as (its local midnight, micro-units), the oldest first."""
    zone = ZoneInfo(account.timezone)
    today = datetime.fromtimestamp(now // MICROS, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    midnights = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    starts = [int(midnight.timestamp()) * MICROS for midnight in midnights]
    sums = [0] * days
    values: dict[str, int | str] = {
        "lines": as_json(lines_of(cx, account.account)), "owner": account.account, "since": starts[0],
    }  # fmt: skip
    selects = []
    for partition in partitions_between(cx, (starts[0] - _START_BEFORE_ANSWER_US, now + _START_BEFORE_ANSWER_US)):
        own = partition.all_segments
        values[f"s{partition.month}"] = as_json(own)
        selects.append(
            f"SELECT answer_at / {_QUARTER_US} AS quarter, charge_micros AS charge"  # noqa: S608  # constants; values are bound
            f" FROM (SELECT value AS segment FROM json_each(:s{partition.month}))"
            " CROSS JOIN (SELECT value AS one FROM json_each(:lines))"
            f" CROSS JOIN {partition.table} INDEXED BY {partition.table}_line"
            f" WHERE {SEGMENT} = segment AND line = one AND account = :owner AND answer_at >= :since"
        )
    if selects:
        found = one_value(
            cx,
            "SELECT json_group_array(json_array(quarter, charge)) FROM (SELECT quarter, sum(charge) AS charge FROM"  # noqa: S608  # as above
            f" ({' UNION ALL '.join(selects)}) GROUP BY quarter)",
            values,
        )
        day = 0
        for quarter, charge in sorted(found):
            while day + 1 < days and quarter * _QUARTER_US >= starts[day + 1]:
                day += 1
            sums[day] += charge
    return list(zip(midnights, sums, strict=True))
