"""Bills: what is on them and what not, how they sum, and that each is made once, under a number of its own."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
import pytest

from control import audit
from control.billing import bill_rows
from control.billing.bill import Bill, Document, pack, unpack
from control.billing.bill_run import charges_of
from control.billing.billed import Billed
from control.billing.charges import MOST_MICROS
from control.billing.cycles import Cycles
from control.billing.due import look
from control.ledger import Balances, EntryRefused, Kind, Why
from control.ledger.entry import Book
from control.ledger.payments import reverse
from control.ledger.postings import entries, postings_of, unbalanced
from control.payments.rule_rows import put_rules
from control.payments.rules import parse_rules
from rating.cdr import MICROS
from rating.store.partitions import last_id
from tests.bill_site import DAY_US, DIRECTORY, BillSite
from tests.builders import ACCOUNT, CALLING, NOW, an_account, micros

OTHER = "4000099999"
OCTOBER, NOVEMBER = "2026-10-15T12:00:00Z", "2026-11-02T12:00:00Z"
DECEMBER = micros("2026-12-02T00:00:00Z")


@pytest.fixture
def site() -> Iterator[BillSite]:
    site = BillSite(an_account(), an_account(OTHER))
    yield site
    site.cx.close()


def test_a_bill_has_its_cycles_charges_in_sections_that_sum_to_it(site: BillSite) -> None:
    site.call("2026-10-02T15:00:00Z", 1_000_100, provider="Beta", line="12125550199", calling="12125550199")
    site.call("2026-10-03T15:00:00Z", 20_000, provider="Alpha", place_called="Bath", units=3)
    site.call("2026-10-01T15:00:00Z", 300_000, provider="Alpha", type="collect", calling="442071234567")
    site.call("2026-10-01T15:00:00Z", 5, account=OTHER)
    (bill, other) = site.bill_run("2026-10")
    assert (bill.number, bill.account, bill.name, bill.period) == (1, ACCOUNT, "Ada Lovelace", "2026-10")
    assert (other.number, other.account, other.current_charges_micros) == (2, OTHER, 5)
    assert (bill.current_charges_micros, bill.total_due_micros, bill.calls) == (1_320_100, 1_320_000, 3)
    assert (bill.cycle_start, bill.cycle_end) == (micros("2026-10-01T04:00:00Z"), micros("2026-11-01T04:00:00Z"))
    assert (bill.issued_at, bill.issued_on, bill.due_on) == (NOW, date(2026, 11, 20), date(2026, 12, 20))
    assert (bill.currency, bill.decimals, bill.discount) == ("USD", 2, None)
    document = site.document(bill)
    assert [(s.provider, s.charges_micros) for s in document.sections] == [("Alpha", 320_000), ("Beta", 1_000_100)]
    alpha, beta = document.sections
    (line,) = alpha.lines
    assert (line.line, line.charges_micros) == (f"+{CALLING}", 320_000)
    first, second = line.calls
    assert (first.transaction, first.calling, first.type) == (3, "+442071234567", "collect")
    assert (first.local.isoformat(), first.called) == ("2026-10-01T11:00:00-04:00", "+442079460018")
    assert (first.destination, first.duration_us, first.billed_s) == ("London", 61 * MICROS, 120)
    assert (second.place, second.units, second.calling) == ("Bath", 3, None)
    assert beta.lines[0].line == "+12125550199"
    assert (document.charges_micros, document.calls) == (bill.current_charges_micros, bill.calls)


def test_the_charges_are_posted_and_nothing_else_is_owed(site: BillSite) -> None:
    site.call(OCTOBER, 7 * MICROS)
    bill = site.bill("2026-10")
    (entry,) = entries(site.cx, ACCOUNT, limit=9)
    assert (entry.id, entry.kind, entry.amount_micros, entry.remark) == (bill.entry, Kind.BILL, -7 * MICROS, "bill 1")
    assert {(posting.book, posting.amount_micros) for posting in postings_of(site.cx, entry.id)} == {
        (Book.RECEIVABLE, 7 * MICROS),
        (Book.REVENUE, -7 * MICROS),
    }
    assert unbalanced(site.cx) == []
    assert Balances.load(site.cx).owed(ACCOUNT) == Billed.load(site.cx).charged(ACCOUNT) == 7 * MICROS
    (logged,) = audit.entries(site.cx, limit=9)
    assert (logged.actor, logged.action, logged.subject) == ("stella", "issue bills", "bills 1 to 1")


@pytest.mark.parametrize(
    ("answer", "billed"),
    [
        ("2026-11-01T03:59:59.999999Z", True),
        ("2026-11-01T04:00:00Z", False),  # New York's midnight
        ("2026-10-01T04:00:00Z", True),
        ("2026-09-30T23:00:00Z", True),  # of the cycle before, and on no bill yet
        ("2024-02-01T00:00:00Z", True),
    ],
)
def test_what_is_answered_before_the_cycles_end_and_on_no_bill_is_billed(
    site: BillSite, answer: str, billed: bool
) -> None:
    site.call(answer)
    assert len(site.bill_run("2026-10")) == billed


def test_a_call_that_rang_over_the_cycles_end_goes_by_its_answer(site: BillSite) -> None:
    site.call("2026-11-01T04:00:05Z", start_at=micros("2026-11-01T03:59:50Z"))
    site.call("2026-11-01T03:59:59Z", start_at=micros("2026-11-01T03:59:50Z"))
    assert site.itemised(site.bill("2026-10")) == [2]
    site.now = DECEMBER
    assert site.itemised(site.bill("2026-11")) == [1]


def test_a_late_record_goes_on_the_next_bill_and_nothing_is_on_two(site: BillSite) -> None:
    october, november = site.call(OCTOBER), site.call(NOVEMBER)
    assert site.itemised(site.bill("2026-10")) == [october]
    late = site.call("2026-10-16T12:00:00Z", 5)
    very_late = site.call("2026-07-16T12:00:00Z", 6)
    site.now = DECEMBER
    bill = site.bill("2026-11")
    assert site.itemised(bill) == [very_late, late, november]
    assert bill.current_charges_micros == MICROS + 11
    assert bill.previous_balance_micros == MICROS
    site.call(NOVEMBER, 7)
    site.now += 40 * DAY_US
    assert site.bill("2026-12").current_charges_micros == 7


def test_a_bill_that_is_there_is_not_made_again(site: BillSite) -> None:
    site.call(OCTOBER)
    assert len(site.bill_run("2026-10")) == 1
    site.call(OCTOBER)
    assert site.bill_run("2026-10") == []
    agenda = look(site.cx, site.accounts.values(), Cycles("2026-10"), NOW)
    assert (agenda.already, list(agenda.due), agenda.not_ended) == (1, [OTHER], 0)


def test_a_cycle_before_the_latest_bills_is_over(site: BillSite) -> None:
    site.call(OCTOBER)
    assert len(site.bill_run("2026-10")) == 1
    site.call("2026-09-15T12:00:00Z")
    assert site.bill_run("2026-09") == []


def test_a_cycle_that_has_not_ended_is_not_billed(site: BillSite) -> None:
    site.call(NOVEMBER)
    assert site.bill_run("2026-11") == []
    assert look(site.cx, site.accounts.values(), Cycles("2026-11"), NOW).not_ended == 2
    site.now = micros("2026-12-01T05:00:00Z") - 1
    assert site.bill_run("2026-11") == []
    site.now += 1
    assert len(site.bill_run("2026-11")) == 1


@pytest.mark.parametrize(("cycle_day", "days"), [(29, 28), (30, 28), (31, 28), (28, 28), (5, 5)])
def test_cycle_days_that_a_month_has_not_mean_its_last(cycle_day: int, days: int) -> None:
    site = BillSite(an_account(cycle_day=cycle_day, timezone="UTC"))
    ends = f"2027-02-{days:02}T00:00:00Z"
    site.call(micros(ends) - 1, 3)
    site.call(ends, 4)
    site.now = micros("2027-03-31T00:00:00Z")
    bills = [site.bill("2027-01"), site.bill("2027-02")]
    assert [bill.current_charges_micros for bill in bills] == [3, 4]
    assert bills[0].cycle_end == bills[1].cycle_start == micros(ends)


def test_a_charge_that_is_taken_back_is_a_line_like_others(site: BillSite) -> None:
    wrong = site.call(OCTOBER, 9 * MICROS)
    back = site.call(OCTOBER, -9 * MICROS, reverses=wrong)
    site.call(OCTOBER, 2 * MICROS)
    bill = site.bill("2026-10")
    calls = site.document(bill).sections[0].lines[0].calls
    assert [(call.transaction, call.charge_micros, call.reverses) for call in calls][:2] == [
        (wrong, 9 * MICROS, None),
        (back, -9 * MICROS, wrong),
    ]
    assert bill.current_charges_micros == 2 * MICROS
    site.call("2026-10-20T00:00:00Z", -5 * MICROS, reverses=wrong)
    site.now = DECEMBER
    credit = site.bill("2026-11")
    assert (credit.current_charges_micros, credit.total_due_micros) == (-5 * MICROS, -3 * MICROS)


def test_payments_and_adjustments_stand_between_two_bills(site: BillSite) -> None:
    site.pay(1)
    site.call(OCTOBER, 100 * MICROS)
    first = site.bill("2026-10")
    assert (first.previous_balance_micros, first.payments_micros, first.total_due_micros) == (0, MICROS, 99 * MICROS)
    site.pay(30)
    bounced = site.pay(20)
    site.take_back(bounced)
    site.credit(4)
    site.call(NOVEMBER, 10 * MICROS)
    site.now = DECEMBER
    bill = site.bill("2026-11")
    units = [
        micros_ // MICROS
        for micros_ in (
            bill.previous_balance_micros, bill.payments_micros, bill.adjustments_micros, bill.current_charges_micros,
            bill.total_due_micros,
        )
    ]  # fmt: skip
    assert units == [99, 50, 16, 10, 75]
    assert Balances.load(site.cx).owed(ACCOUNT) == bill.total_due_micros


def test_without_calls_there_is_a_bill_only_where_there_is_something_to_say(site: BillSite) -> None:
    assert site.bill_run("2026-10") == []
    site.pay(1, OTHER)
    assert [bill.account for bill in site.bill_run("2026-10")] == [OTHER]
    site.now = DECEMBER
    (carried,) = site.bill_run("2026-11")
    assert (carried.account, carried.previous_balance_micros, carried.total_due_micros) == (OTHER, -MICROS, -MICROS)
    assert (carried.calls, site.document(carried).sections) == (0, [])
    site.call("2026-12-05T00:00:00Z", MICROS, account=OTHER)
    site.now = micros("2027-01-02T00:00:00Z")
    assert [bill.total_due_micros for bill in site.bill_run("2026-12")] == [0]
    site.now = micros("2027-02-02T00:00:00Z")
    assert site.bill_run("2027-01") == []


def test_free_calls_are_itemised_too(site: BillSite) -> None:
    site.call(OCTOBER, 0)
    assert (site.bill("2026-10").calls, site.bill_run("2026-10")) == (1, [])


def test_a_bill_that_another_run_made_meanwhile_makes_ours_void(site: BillSite) -> None:
    october, november = site.call(OCTOBER), site.call(NOVEMBER)
    site.now = DECEMBER
    ours = look(site.cx, site.accounts.values(), Cycles("2026-11"), site.now).due
    (part,) = charges_of(site.cx, ours, last_id(site.cx), DIRECTORY)
    assert site.itemised(site.bill("2026-10")) == [october]
    issued = site.issue(part)
    assert (issued.bills, issued.overtaken) == ([], [ACCOUNT])
    assert site.itemised(site.bill("2026-11")) == [november]
    assert bill_rows.last_number(site.cx) == 2


def test_two_runs_at_once_and_a_part_that_comes_twice_make_one_bill(site: BillSite) -> None:
    site.call(OCTOBER)
    due = look(site.cx, site.accounts.values(), Cycles("2026-10"), site.now).due
    (first,) = charges_of(site.cx, due, last_id(site.cx), DIRECTORY)
    site.call(OCTOBER, 5)
    (second,) = charges_of(site.cx, due, last_id(site.cx), DIRECTORY)
    assert [len(issued.bills) for issued in (site.issue(first * 2), site.issue(first), site.issue(second))] == [1, 0, 0]
    assert Balances.load(site.cx).owed(ACCOUNT) == MICROS


def test_an_amount_that_cannot_be_kept_is_left_out_and_takes_no_number(site: BillSite) -> None:
    site.call(OCTOBER, MOST_MICROS)
    site.call(OCTOBER, 1)
    site.call(OCTOBER, 2, account=OTHER)
    due = look(site.cx, site.accounts.values(), Cycles("2026-10"), site.now).due
    (part,) = charges_of(site.cx, due, last_id(site.cx), DIRECTORY)
    issued = site.issue(part)
    assert (issued.too_great, [bill.number for bill in issued.bills]) == ([ACCOUNT], [1])


def test_the_zone_and_the_cycle_day_may_change_between_bills() -> None:
    site = BillSite(an_account(timezone="Etc/GMT+12", cycle_day=31))
    site.now = micros("2026-12-02T00:00:00Z")
    site.call(OCTOBER, 1)
    assert site.bill("2026-09").cycle_end == micros("2026-10-31T12:00:00Z")
    # The cycle of October now begins when the last one did, and ends when it did: it has its bill.
    site.provision(an_account(timezone="Etc/GMT-12", cycle_day=1))
    site.call("2026-10-31T11:00:00Z", 2)
    site.call("2026-11-15T11:00:00Z", 3)
    assert site.bill_run("2026-10") == []
    assert site.bill("2026-11").current_charges_micros == 5


def test_the_discount_is_reckoned_by_the_rules_in_force_and_forfeited_when_past_due(site: BillSite) -> None:
    text = 'name = "standard"\n[early_payment_discount]\npercent = "2"\ndays = 10\n[payment]\ndue_days = 14\n'
    rule = put_rules(site.cx, parse_rules(text, "rules.toml"), text, "stella", NOW)
    site.call(OCTOBER, 12_345_600)
    first = site.bill("2026-10")
    assert first.discount is not None
    assert (first.discount.rule, first.discount.amount_micros) == (rule, 250_000)
    assert (first.discount.first_on, first.discount.last_on) == (date(2026, 11, 20), date(2026, 11, 30))
    assert first.due_on == date(2026, 12, 4)
    assert bill_rows.bill(site.cx, 1) == first
    site.call(NOVEMBER)
    site.now = micros("2026-12-05T12:00:00Z")
    assert site.bill("2026-11").discount is None


def test_bills_are_found_again(site: BillSite) -> None:
    for month in (8, 9, 10):
        site.call(f"2026-{month:02}-15T12:00:00Z")
        site.call(f"2026-{month:02}-15T12:00:00Z", account=OTHER)
        assert len(site.bill_run(f"2026-{month:02}")) == 2
    found = bill_rows.bills_of(site.cx, ACCOUNT, limit=2)
    assert [(bill.number, bill.period) for bill in found] == [(5, "2026-10"), (3, "2026-09")]
    assert [bill.number for bill in bill_rows.bills_of(site.cx, ACCOUNT, limit=2, before=3)] == [1]
    assert bill_rows.latest_of(site.cx, ACCOUNT) == found[0] == bill_rows.bill(site.cx, 5)
    assert bill_rows.number_of(site.cx, ACCOUNT, found[0].cycle_start) == 5
    assert bill_rows.number_of(site.cx, ACCOUNT, found[0].cycle_start + 1) is None
    assert (bill_rows.bill(site.cx, 99), bill_rows.latest_of(site.cx, "nobody")) == (None, None)
    assert bill_rows.last_period(site.cx) == "2026-10"
    assert Billed.load(site.cx).all() == {ACCOUNT: 3 * MICROS, OTHER: 3 * MICROS}


def test_a_bill_is_not_taken_back(site: BillSite) -> None:
    site.call(OCTOBER)
    bill = site.bill("2026-10")
    with pytest.raises(EntryRefused, match="grant a credit instead") as refused:
        reverse(site.cx, ACCOUNT, bill.entry, actor="stella", key="k", now=NOW)
    assert refused.value.why is Why.BILL


def test_a_bill_says_the_same_when_name_and_zone_have_changed(site: BillSite) -> None:
    site.call(OCTOBER)
    bill = site.bill("2026-10")
    document = site.document(bill)
    site.provision(an_account(name="Ada King", timezone="Asia/Tokyo"))
    assert (bill_rows.bill(site.cx, 1), site.document(bill)) == (bill, document)


@pytest.mark.parametrize(
    ("answer", "local"),
    [
        ("2026-11-01T05:30:00Z", "2026-11-01T01:30:00-04:00"),
        ("2026-11-01T06:30:00Z", "2026-11-01T01:30:00-05:00"),  # the clock was put back
        ("2026-11-01T05:59:59.5Z", "2026-11-01T01:59:59.500000-04:00"),
    ],
)
def test_calls_show_the_accounts_own_clock(site: BillSite, answer: str, local: str) -> None:
    site.call(answer)
    site.now = DECEMBER
    call = site.document(site.bill("2026-11")).sections[0].lines[0].calls[0]
    assert call.local.isoformat() == local


def test_a_document_of_a_later_form_can_be_read_by_who_knows_this_one() -> None:
    later: list[Any] = ["UTC", [["P", 5, [["+1", 5, [[1, 0, "+2", None, None, "t", "s", 1, 1, 5, 9]]]]]], 2, None, "+"]
    document = msgspec.msgpack.decode(msgspec.msgpack.encode(later), type=Document)
    assert (document.charges_micros, document.calls, document.version) == (5, 1, 2)
    assert unpack(pack(document)) == document


def test_many_accounts_are_billed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [f"4{n:09}" for n in range(1203)]
    site = BillSite(*map(an_account, numbers))
    monkeypatch.setattr("control.billing.gathering.ROWS_A_LOT", 500)
    monkeypatch.setattr("control.billing.gathering.ROWS_A_READ", 100)
    for number in numbers[:1200]:
        site.call(OCTOBER, (int(number[1:]) + 1) * MICROS, account=number)
    site.pay(1, numbers[-1])
    bills: list[Bill] = site.bill_run("2026-10")
    assert [bill.number for bill in bills] == list(range(1, 1202))
    assert {bill.account: bill.current_charges_micros for bill in bills} == {
        **{number: (int(number[1:]) + 1) * MICROS for number in numbers[:1200]},
        numbers[-1]: 0,
    }
    for number in numbers[::2]:
        site.call(NOVEMBER, 7, account=number)
    site.call(OCTOBER, 3, account=numbers[-2])  # of who never had a bill
    site.now = DECEMBER
    charged = {bill.account: bill.current_charges_micros for bill in site.bill_run("2026-11")}
    assert sum(charged.values()) == 602 * 7 + 3
    assert (charged[numbers[-2]], charged[numbers[1]], len(charged)) == (3, 0, 1203)
