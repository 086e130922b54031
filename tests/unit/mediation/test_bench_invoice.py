"""`bench invoice`: what it measures is the whole of an invoice."""

import pytest

from mediation.bench.invoice import an_invoice, run_invoice


@pytest.mark.parametrize("calls", [1, 7])
def test_the_figures_are_of_an_invoice_of_so_many_calls(calls: int) -> None:
    figures = run_invoice(calls)
    assert figures["calls"] == calls
    assert min(figures[key] for key in ("html_p50_ms", "html_p95_ms", "pdf_ms")) > 0
    bill, document = an_invoice(calls)
    assert document.calls == bill.calls == calls
    assert bill.current_charges_micros == document.charges_micros
    assert all(bill.cycle_start <= call.answered_at < bill.cycle_end for call in document.sections[0].lines[0].calls)
