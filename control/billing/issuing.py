"""Bills are issued: numbered, set against what was paid, posted and written, some hundred in one store transaction."""

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from control import audit
from control.billing import bill_rows
from control.billing.bill import Bill, total_due
from control.billing.bill_rows import Latest
from control.billing.charges import MOST_MICROS, Charges
from control.currency import decimals_of, rounded
from control.ledger import postings
from control.ledger.entry import Book, Entry, Kind, Posting, digest
from control.payments.discount import offer
from control.payments.rule_rows import rules_on
from control.payments.rules import Rules
from rating.cdr import MICROS

KEY: Final = "\tbill "
"""How the idempotency keys of bills begin. Nobody can send one with a tab."""


class Issued(msgspec.Struct):
    """What became of some accounts' charges."""

    bills: list[Bill] = msgspec.field(default_factory=list)
    entries: list[Entry] = msgspec.field(default_factory=list)
    already: int = 0
    """Accounts that have a bill of the cycle, or of a later one."""
    empty: int = 0
    """Accounts with nothing to put on a bill."""
    overtaken: list[str] = msgspec.field(default_factory=list)
    """Accounts that were given another bill since their charges were reckoned: reckon them again."""
    too_great: list[str] = msgspec.field(default_factory=list)
    """Accounts with an amount that the store cannot hold."""


class _Since(NamedTuple):
    """What was entered for an account since its latest bill, micro-units."""

    entries: int = 0
    payments_micros: int = 0
    adjustments_micros: int = 0


def issue(cx: sqlite3.Connection, charged: Sequence[Charges], actor: str, now: int) -> Issued:
    """Issue the bills of different accounts, some hundred at most."""
    latest = bill_rows.latest_bills(cx, [one.account for one in charged])
    since = _entered_since(cx, [(one.account, _entry_of(latest.get(one.account))) for one in charged])
    issued, written, seen = Issued(), list[tuple[Bill, bytes]](), set[str]()
    posted: list[tuple[Entry, bytes, list[Posting]]] = []
    number, entry = bill_rows.last_number(cx) + 1, postings.next_id(cx)
    rules: dict[date, Rules] = {}
    for one in charged:
        before, entered = latest.get(one.account), since.get(one.account, _Since())
        if one.account in seen or (before is not None and before.is_over(one.cycle)):
            issued.already += 1
        elif one.follows != (before.number if before else 0):
            issued.overtaken.append(one.account)
        elif not (one.calls or entered.entries or (before and before.total_due_micros)):
            issued.empty += 1
        else:
            issued_on = datetime.fromtimestamp(now // MICROS, ZoneInfo(one.timezone)).date()
            if issued_on not in rules:
                rules[issued_on] = rules_on(cx, issued_on)
            bill = _bill(one, before, entered, rules[issued_on], issued_on, now, number + len(written), entry)
            if max(abs(bill.current_charges_micros), abs(bill.total_due_micros)) > MOST_MICROS:
                issued.too_great.append(one.account)
                continue
            seen.add(one.account)
            issued.bills.append(bill)
            issued.entries.append(_entry(bill, actor))
            posted.append(_posted(issued.entries[-1], bill))
            written.append((bill, one.document))
            entry += 1
    postings.add_many(cx, posted)
    bill_rows.insert(cx, written)
    if issued.bills:
        first, last = issued.bills[0], issued.bills[-1]
        audit.record(
            cx, now, actor, "issue bills", f"bills {first.number} to {last.number}", f"{len(written)} of {first.period}"
        )
    return issued


def _bill(
    one: Charges,
    before: Latest | None,
    entered: _Since,
    rules: Rules,
    issued_on: date,
    now: int,
    number: int,
    entry: int,
) -> Bill:
    previous = before.total_due_micros if before else 0
    forward = total_due(previous, entered.payments_micros, entered.adjustments_micros, 0)
    is_past_due = before is not None and forward > 0 and before.due_on < issued_on.isoformat()
    discount = offer(
        rules,
        base_micros=one.charges_micros,
        issued_on=issued_on,
        decimals=decimals_of(one.currency),
        is_past_due=is_past_due,
    )
    exact = total_due(previous, entered.payments_micros, entered.adjustments_micros, one.charges_micros)
    carried = before.carried_micros if before else 0
    total = rounded(exact + carried, one.currency)
    return Bill(
        number=number,
        account=one.account,
        name=one.name,
        period=one.period,
        cycle_start=one.cycle_start,
        cycle_end=one.cycle_end,
        issued_at=now,
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=rules.due_days),
        currency=one.currency,
        decimals=decimals_of(one.currency),
        previous_balance_micros=previous,
        payments_micros=entered.payments_micros,
        adjustments_micros=entered.adjustments_micros,
        current_charges_micros=one.charges_micros,
        total_due_micros=total,
        discount=discount,
        calls=one.calls,
        covers_id=one.covers_id,
        entry=entry,
        rounding_micros=total - exact,
        carried_micros=exact + carried - total,
    )


def _entry(bill: Bill, actor: str) -> Entry:
    """What is posted for a bill: also for one without charges, since what comes after it is on the next one."""
    return Entry(
        id=bill.entry,
        kind=Kind.BILL,
        account=bill.account,
        at=bill.issued_at,
        actor=actor,
        remark=f"bill {bill.number}",
        idempotency_key=f"{KEY}{bill.number}",
        reverses=None,
        amount_micros=-bill.charged_micros,
        currency=bill.currency,
    )


def _posted(entry: Entry, bill: Bill) -> tuple[Entry, bytes, list[Posting]]:
    """An entry with its halves: the revenue is exact, and what is rounded stands in a book of its own."""
    asked = digest(entry.kind, entry.amount_micros, entry.currency, entry.remark, None)
    amounts = [(Book.RECEIVABLE, bill.charged_micros), (Book.REVENUE, -bill.current_charges_micros)]
    if bill.rounding_micros:
        amounts.append((Book.ROUNDING, -bill.rounding_micros))
    return entry, asked, [Posting(book, entry.account, micros, entry.currency) for book, micros in amounts]


def _entry_of(latest: Latest | None) -> int:
    return latest.entry if latest else 0


def _entered_since(cx: sqlite3.Connection, after: Sequence[tuple[str, int]]) -> dict[str, _Since]:
    """Of accounts with entries after the given one that change what they owe: how many, payments, and the rest."""
    payment, parts = f"e.kind = '{Kind.PAYMENT}'", []
    for condition in (payment, f"NOT {payment}"):
        # In two parts, millions and the rest: in one a sum could go beyond SQLite's 64 bits.
        parts += [
            f"sum(CASE WHEN {condition} THEN p.amount_micros {operator} {MICROS} ELSE 0 END)" for operator in "/%"
        ]
    # One row: each costs another wait for the interpreter lock beside a busy ingest.
    (text,) = cx.execute(
        f"SELECT json_group_array(json(found)) FROM (SELECT json_array(e.account, count(*), {', '.join(parts)}) found"  # noqa: S608  # names and numbers of ours
        " FROM json_each(?) since CROSS JOIN ledger_entries e ON e.shard = 0"
        " AND e.account = json_extract(since.value, '$[0]') AND e.id > json_extract(since.value, '$[1]')"
        " CROSS JOIN ledger_postings p ON p.entry = e.id AND p.book = 'receivable' GROUP BY e.account)",
        (msgspec.json.encode(after).decode(),),
    ).fetchone()
    return {
        account: _Since(entries, -(paid * MICROS + paid_rest), other * MICROS + other_rest)
        for account, entries, paid, paid_rest, other, other_rest in msgspec.json.decode(text)
    }
