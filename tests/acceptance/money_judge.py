"""What must be true of the money in a store, whatever happened to who wrote it: bills, ledger and payments, looked at
with SQL alone and none of the program's own code."""

import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

OF_BILLS: Final = re.compile(r"bills (\d+) to (\d+)")
OF_ENTRY: Final = re.compile(r"entry (\d+)[, ]")
A_CENT: Final = 10_000
"""Of the currency of all accounts here, in micro-units."""
_CHARGE, _TRANSACTION = 9, 10
"""Where they stand in an itemised call."""


class Money:
    """A store as of one instant."""

    def __init__(self, store: Path) -> None:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as cx:
            cx.row_factory = sqlite3.Row
            cx.execute("BEGIN")
            self.bills = cx.execute("SELECT * FROM bills ORDER BY number").fetchall()
            self.entries = cx.execute("SELECT * FROM ledger_entries ORDER BY id").fetchall()
            self.postings = cx.execute("SELECT * FROM ledger_postings ORDER BY id").fetchall()
            self.payments = cx.execute("SELECT * FROM payments ORDER BY id").fetchall()
            shares = "SELECT payment, sum(paid_micros), sum(discount_micros) FROM payment_shares GROUP BY payment"
            self._shares = {number: (paid, let_go) for number, paid, let_go in cx.execute(shares)}
            self._audited = cx.execute("SELECT action, detail, subject FROM audit_log ORDER BY id").fetchall()
            self.transactions = dict(_transactions(cx))
        self._halves: dict[int, dict[str, int]] = {}
        for one in self.postings:
            of_entry = self._halves.setdefault(one["entry"], {})
            of_entry[one["book"]] = of_entry.get(one["book"], 0) + one["amount_micros"]

    def owed(self, account: str) -> int:
        """What an account owes of its bills, micro-units."""
        return sum(
            one["amount_micros"] for one in self.postings if (one["book"], one["account"]) == ("receivable", account)
        )

    def payments_of(self, account: str) -> list[sqlite3.Row]:
        """Every attempt, the oldest first."""
        return [one for one in self.payments if one["account"] == account]

    def received_of(self, account: str) -> list[sqlite3.Row]:
        """Entries of payments that staff received."""
        own = {one["entry"] for one in self.payments}
        return [
            one for one in self.entries
            if one["kind"] == "payment" and one["account"] == account and one["id"] not in own
        ]  # fmt: skip

    def faults(self) -> list[str]:
        """What is wrong, in words."""
        return [*self._bad_ledger(), *self._bad_bills(), *self._bad_payments(), *self._bad_audit()]

    def _bad_ledger(self) -> Iterator[str]:
        known = {one["id"] for one in self.entries}
        if self._halves.keys() != known:
            yield f"entries and postings are not of each other: {sorted(self._halves.keys() ^ known)}"
        for number, halves in self._halves.items():
            if sum(halves.values()):
                yield f"entry {number} sums to {sum(halves.values())}"
        for account in {one["account"] for one in self.entries}:
            if self.owed(account) < 0:
                yield f"account {account} was given a credit of {-self.owed(account)}"

    def _bad_bills(self) -> Iterator[str]:
        numbers = [one["number"] for one in self.bills]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"the numbers of bills have gaps: {numbers}"
        for name in ("period", "cycle_start", "cycle_end"):
            if twice := _twice((one["account"], one[name]) for one in self.bills):
                yield f"more than one bill of an account and {name}: {twice}"
        if twice := _twice(one["entry"] for one in self.bills):
            yield f"bills share entries {twice}"
        of_bills = {one["id"] for one in self.entries if one["kind"] == "bill"}
        if of_bills != {one["entry"] for one in self.bills}:
            yield "bills and their entries are not of each other"
        billed: Counter[int] = Counter()
        before: dict[str, sqlite3.Row] = {}
        for one in self.bills:
            yield from self._bad_bill(one, billed, before.get(one["account"]))
            before[one["account"]] = one
        if twice := [number for number, times in billed.items() if times > 1]:
            yield f"transactions {twice} are on more than one bill"

    def _bad_bill(self, one: sqlite3.Row, billed: Counter[int], before: sqlite3.Row | None) -> Iterator[str]:
        name, charges = f"bill {one['number']}", one["current_charges_micros"]
        providers = _sections(one)
        calls = [call for _, _, lines in providers for _, _, calls in lines for call in calls]
        sums = {
            charges,
            sum(call[_CHARGE] for call in calls),
            sum(micros for _, micros, _ in providers),
            sum(micros for _, _, lines in providers for _, micros, _ in lines),
            -self._halves.get(one["entry"], {}).get("revenue", 0),
        }
        if len(sums) != 1 or one["calls"] != len(calls):
            yield f"{name}: lines, sections, ledger and charges do not agree: {sums}, {one['calls']} calls"
        for call in calls:
            known = self.transactions.get(call[_TRANSACTION])
            if known is None or known["charge_micros"] != call[_CHARGE] or known["account"] != one["account"]:
                yield f"{name}: its transaction {call[_TRANSACTION]} is not so"
        billed.update(call[_TRANSACTION] for call in calls)
        yield from self._badly_rounded(one, before)

    def _badly_rounded(self, one: sqlite3.Row, before: sqlite3.Row | None) -> Iterator[str]:
        name, rounding = f"bill {one['number']}", one["rounding_micros"]
        owed, carried = (before["total_due_micros"], before["carried_micros"]) if before else (0, 0)
        total = (
            one["previous_balance_micros"] - one["payments_micros"] + one["adjustments_micros"]
            + one["current_charges_micros"] + rounding
        )  # fmt: skip
        if one["total_due_micros"] != total or one["previous_balance_micros"] != owed:
            yield f"{name}: it does not follow from its parts and the bill before"
        if total % A_CENT or one["carried_micros"] != carried - rounding or 2 * abs(one["carried_micros"]) > A_CENT:
            yield f"{name}: it is rounded to {total}, and carries over {one['carried_micros']}"
        halves = self._halves.get(one["entry"], {})
        if (halves.get("receivable"), halves.get("rounding", 0)) != (
            one["current_charges_micros"] + rounding, -rounding,
        ):  # fmt: skip
            yield f"{name}: its charges and its rounding are not what the ledger says"

    def _bad_payments(self) -> Iterator[str]:
        if twice := _twice((one["account"], one["idempotency_key"]) for one in self.payments):
            yield f"more than one payment for a key: {twice}"
        made = [one[name] for one in self.payments for name in ("entry", "discount_entry") if one[name] is not None]
        if twice := _twice(made):
            yield f"payments share entries {twice}"
        own = {one["id"] for one in self.entries if one["idempotency_key"].startswith("\tpayment ")}
        if own != set(made):
            yield f"entries {sorted(own ^ set(made))} are of no payment, or are not there"
        for one in self.payments:
            paid, let_go = one["amount_micros"], one["discount_micros"]
            if one["state"] == "refused":
                is_so = one["entry"] is None and one["discount_entry"] is None and one["reason"]
            else:
                is_so = self._halves.get(one["entry"]) == {"in-transit": paid, "receivable": -paid} and (
                    self._halves.get(one["discount_entry"]) == {"discounts-granted": let_go, "receivable": -let_go}
                    if let_go
                    else one["discount_entry"] is None
                )
            if not is_so:
                yield f"payment {one['id']}, {one['state']}, is not what the ledger says"
            if self._shares.get(one["id"]) != (None if one["state"] == "refused" else (paid, let_go)):
                yield f"payment {one['id']}, {one['state']}, is not what it does to invoices"

    def _bad_audit(self) -> Iterator[str]:
        told = Counter(
            int(match[1])
            for one in self._audited
            if one["action"].startswith("record ") and (match := OF_ENTRY.match(one["detail"]))
        )
        if told != Counter(one["id"] for one in self.entries if one["kind"] != "bill"):
            yield "the audit log does not tell of every entry once"
        runs = [match for one in self._audited if (match := OF_BILLS.match(one["subject"]))]
        numbers = [number for match in runs for number in range(int(match[1]), int(match[2]) + 1)]
        if numbers != [one["number"] for one in self.bills]:
            yield "the audit log does not tell of every bill once"

    def unbilled(self, before: int) -> list[int]:
        """Transactions answered before an instant that are on no bill."""
        billed = set()
        for one in self.bills:
            billed |= {call[_TRANSACTION] for _, _, lines in _sections(one) for _, _, calls in lines for call in calls}
        return [id_ for id_, one in self.transactions.items() if one["answer_at"] < before and id_ not in billed]


def _sections(bill: sqlite3.Row) -> Any:
    """A bill's document: by provider and line, what was charged, and the calls."""
    _, providers, *_ = msgspec.msgpack.decode(zlib.decompress(bill["document"]))
    return providers


def _transactions(cx: sqlite3.Connection) -> Iterator[tuple[int, sqlite3.Row]]:
    tables = "SELECT name FROM sqlite_master WHERE name GLOB 'transactions_[0-9]*' AND type = 'table'"
    for (table,) in cx.execute(tables).fetchall():
        for row in cx.execute(f"SELECT id, account, record_id, answer_at, charge_micros FROM {table}"):
            yield row["id"], row


def _twice(found: Iterator[Any] | list[Any]) -> list[Any]:
    return [one for one, times in Counter(found).items() if times > 1]
