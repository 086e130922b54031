"""`bench invoice`: a long invoice as its page has it, and as a PDF."""

import time
from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp_jinja2
from aiohttp import web

from control.billing.bill import Bill, Call, Document, LineSection, ProviderSection, pack, unpack
from control.payments.discount import Offer
from control.payments.payment import Accepted
from control.users import Role
from mediation.bench.distribution import percentiles_ms
from mediation.failure import Failure
from rating.cdr import MICROS
from web.invoice_pdf import invoice_pdf
from web.invoice_view import invoice_page
from web.pages.invoices import Around, OfDiscount, first_unbilled_day
from web.rendering import set_up
from web.static_files import StaticFiles

_ZONE: Final = "America/New_York"
_BEGIN: Final = 1_793_505_600 * MICROS  # 2026-11-01T00:00:00-04:00
_DAYS: Final = 30
_WINTER_S: Final = 7200
"""From the month's begin to winter time."""
_LINES: Final = 5
_ROUNDS: Final = 50
_PDF_ROUNDS: Final = 3
_ISSUED_ON: Final = date(2026, 12, 1)
_PLACES: Final = (("London", "442079460018"), ("Boston", "16175550123"), ("Zürich", "41445550199"), (None, "864412345"))


def run_invoice(calls: int) -> dict[str, Any]:
    """The contract's figures: the page from the stored document on, and the PDF (the median of three).

    Raises Failure if the page has not so many calls.
    """
    bill, document = an_invoice(calls)
    stored = pack(document)
    render = _page(bill)
    html = render(unpack(stored))
    shown = html.count('<td class="mono">')
    if shown != calls:
        raise Failure(f"the page has {shown} calls, not {calls}")
    wall_s, cpu_s = _timed(lambda: render(unpack(stored)).encode(), _ROUNDS)
    pdf_wall_s, pdf_cpu_s = _timed(lambda: invoice_pdf(bill, document), _PDF_ROUNDS)
    page, paper = percentiles_ms(wall_s), percentiles_ms(pdf_wall_s)
    return {
        "calls": calls,
        "html_p50_ms": page["p50_ms"],
        "html_p95_ms": page["p95_ms"],
        "pdf_ms": paper["p50_ms"],
        "html_cpu_ms": percentiles_ms(cpu_s)["p50_ms"],
        "pdf_cpu_ms": percentiles_ms(pdf_cpu_s)["p50_ms"],
        "html_bytes": len(html.encode()),
        "pdf_bytes": len(invoice_pdf(bill, document)),
    }


def an_invoice(calls: int) -> tuple[Bill, Document]:
    """A month's calls of five lines, drawn by chance, the same at every run."""
    rng = Random(5)  # noqa: S311  # to be the same at every run
    made = sorted((_call(rng, number) for number in range(1, calls + 1)), key=lambda call: call.answered_at)
    lines = []
    for index in range(min(_LINES, calls)):
        own = made[index::_LINES]
        lines.append(LineSection(f"+1212555{index:04d}", sum(call.charge_micros for call in own), own))
    charges_micros = sum(line.charges_micros for line in lines)
    document = Document(_ZONE, [ProviderSection("Transcontinental", charges_micros, lines)] if lines else [])
    offer = Offer(1, 2 * MICROS, _ISSUED_ON, _ISSUED_ON + timedelta(days=10))
    end = _BEGIN + (_DAYS * 86_400 + 3600) * MICROS
    bill = Bill(
        7, "4000012345", "Ada Lovelace", "2026-11", _BEGIN, end, end, _ISSUED_ON, _ISSUED_ON + timedelta(days=30),
        "USD", 2, 100 * MICROS, 60 * MICROS, -5 * MICROS, charges_micros, 35 * MICROS + charges_micros, offer, calls,
        calls, 1,
    )  # fmt: skip
    return bill, document


def _call(rng: Random, number: int) -> Call:
    place, called = rng.choice(_PLACES)
    seconds = rng.randrange(1, 3600)
    return Call(
        _BEGIN + rng.randrange(_WINTER_S, _DAYS * 86_400) * MICROS, -300, called, place, "Somewhere", "direct",
        "long-distance", seconds * MICROS, seconds, rng.randrange(1, 2000) * 10_000, number,
    )  # fmt: skip


def _page(bill: Bill) -> Callable[[Document], str]:
    """What renders the customer's page of a document."""
    app = web.Application()
    set_up(app, StaticFiles())
    template = aiohttp_jinja2.get_env(app).get_template("invoice.html")
    zone = ZoneInfo(_ZONE)
    around = {
        "bill": bill, "of_discount": OfDiscount.OPEN, "payable": Accepted(bill.total_due_micros, 2 * MICROS),
        "due_micros": bill.total_due_micros, "unbilled_micros": 3 * MICROS, "flags": (), "role": Role.CUSTOMER,
        "zone": zone, "unbilled_from": first_unbilled_day(bill, zone), "principal": None, "menu": (),
        "path": f"/invoices/{bill.number}", "csrf": "", "now": bill.issued_at, "version": "",
    }  # fmt: skip
    return lambda document: template.render(
        around | {"around": Around(document, bill, [], [])} | invoice_page(bill, document)
    )


def _timed(run: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Time that passed and time of the processor, seconds, of each round."""
    wall_s, cpu_s = [], []
    for _ in range(rounds):
        began, began_cpu = time.perf_counter(), time.process_time()
        run()
        wall_s.append(time.perf_counter() - began)
        cpu_s.append(time.process_time() - began_cpu)
    return wall_s, cpu_s
