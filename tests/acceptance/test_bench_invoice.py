"""`bench invoice` on a short invoice: its page comes with every call, and its PDF."""

import json

import pytest

from mediation.bench.invoice import an_invoice
from tests.acceptance.daemon_process import tollkeeper


def test_the_page_and_the_pdf_are_measured() -> None:
    ended = tollkeeper("bench", "invoice", "--calls", "12", "--json")
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert figures["calls"] == 12
    assert figures["html_p95_ms"] >= figures["html_p50_ms"] > 0
    assert figures["pdf_ms"] > 0


@pytest.mark.parametrize("calls", [1, 4, 12])
def test_the_invoice_is_of_so_many_calls_and_they_sum_up(calls: int) -> None:
    bill, document = an_invoice(calls)
    assert bill.calls == document.calls == calls
    assert bill.current_charges_micros == document.charges_micros
    itemised = [call for section in document.sections for line in section.lines for call in line.calls]
    assert sum(call.charge_micros for call in itemised) == bill.total_due_micros
    assert all(bill.cycle_start <= call.answered_at < bill.cycle_end for call in itemised)
