"""`bench invoice`: a long invoice as its page, asked for by its customer, and as a PDF."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from control.billing import bill_rows
from control.billing.bill import Bill, Call, Document, LineSection, ProviderSection, pack
from control.billing.parts import CALLS_SHOWN, part_of
from control.enrolment import Method, changing
from control.payments.discount import Offer
from control.users import Role, Users
from mediation.bench.browser import Browser
from mediation.bench.distribution import percentiles_ms
from mediation.bench.site import Site, account_number, daemon
from mediation.failure import Failure
from mediation.schema import all_migrations
from rating.cdr import MICROS
from rating.store.sqlite import open_store
from simulators.load_records import line_number
from web.pages.invoice_file import MOST_PRINTED

_PASSWORD: Final = "a bench of no secrets"  # noqa: S105  # of a user that lives for a minute
_ACCOUNT: Final = account_number(0)
_PREFIXES: Final = 50
_BEGIN: Final = int(datetime(2026, 11, 1, 5, tzinfo=UTC).timestamp()) * MICROS
_END: Final = int(datetime(2026, 12, 1, 5, tzinfo=UTC).timestamp()) * MICROS
_ISSUED_ON: Final = date(2026, 12, 1)
_LINES: Final = 5
_CALLED: Final = "442079460018"
"""With digits appended that count the calls: by them the page is checked."""
_WARM_UP: Final = 3
_ROUNDS: Final = 50
_PDF_ROUNDS: Final = 3
_HTTP_OK: Final = 200


def run_invoice(calls: int, directory: Path) -> dict[str, Any]:
    """Measure in an empty directory. The contract's figures, and others.

    Raises Failure if the page does not come, or lacks a call.
    """
    bill, document = an_invoice(calls)
    site = Site(directory, 1, pages=True)
    site.provision(_PREFIXES)
    asyncio.run(_put(site, bill, document))
    first = document if calls <= CALLS_SHOWN else part_of(pack(document), 1, CALLS_SHOWN).document
    printed = document if calls <= MOST_PRINTED else part_of(pack(document), 1, 0).document
    on_page = [call for section in first.sections for line in section.lines for call in line.calls]
    took_s, page = _ask(site, f"/invoices/{bill.number}", on_page)
    from web.invoice_pdf import invoice_pdf  # as the pages do: the daemon, which knows all commands, is not to load it

    pdf_s, cpu_s = [], []
    for _ in range(_PDF_ROUNDS):
        began, began_cpu = time.perf_counter(), time.process_time()
        pdf = invoice_pdf(bill, printed)
        pdf_s.append(time.perf_counter() - began)
        cpu_s.append(time.process_time() - began_cpu)
    html = percentiles_ms(took_s)
    return {
        "calls": calls,
        "calls_on_page": len(on_page),
        "html_p50_ms": html["p50_ms"],
        "html_p95_ms": html["p95_ms"],
        "pdf_ms": percentiles_ms(pdf_s)["p50_ms"],
        "pdf_cpu_ms": percentiles_ms(cpu_s)["p50_ms"],
        "html_bytes": len(page),
        "pdf_bytes": len(pdf),
    }


def an_invoice(calls: int) -> tuple[Bill, Document]:
    """A month's calls of up to five lines, drawn by chance, the same at every run."""
    rng = Random(5)  # noqa: S311  # to be the same at every run
    instants = sorted(rng.randrange(_BEGIN, _END) for _ in range(calls))
    made = [_call(rng, number, at) for number, at in enumerate(instants, 1)]
    lines = []
    for index in range(min(_LINES, calls)):
        own = made[index::_LINES]
        lines.append(LineSection(line_number(index), sum(call.charge_micros for call in own), own))
    charges_micros = sum(line.charges_micros for line in lines)
    document = Document("America/New_York", [ProviderSection("Atlantic Telecom", charges_micros, lines)])
    offer = Offer(1, 2 * MICROS, _ISSUED_ON, _ISSUED_ON + timedelta(days=10))
    bill = Bill(
        1, _ACCOUNT, "Customer 0", "2026-11", _BEGIN, _END, _END, _ISSUED_ON, _ISSUED_ON + timedelta(days=30),
        "USD", 2, 0, 0, 0, charges_micros, charges_micros, offer, calls, calls, 1, 0,
    )  # fmt: skip
    return bill, document


def _call(rng: Random, number: int, answered_at: int) -> Call:
    seconds = rng.randrange(1, 3600)
    place = rng.choice(("London", "Zürich", "Saint-Étienne", None))
    return Call(
        answered_at, -300, f"{_CALLED}{number}", place, "Elsewhere", rng.choice(("local", "long-distance")), "direct",
        seconds * MICROS, seconds, rng.randrange(1, 2000) * 10_000, number,
    )  # fmt: skip


async def _put(site: Site, bill: Bill, document: Document) -> None:
    """The bill, and a customer who may see it online."""

    def put(cx: sqlite3.Connection) -> None:
        bill_rows.insert(cx, [(bill, pack(document))])
        changing.enrol(cx, _ACCOUNT, Method.WEB, "bench", _clock())

    store = await open_store(site.store, all_migrations(), _clock())
    try:
        await store.transact(put)
        users = await Users.load(store, _clock)
        try:
            await users.add_user(_ACCOUNT, Role.CUSTOMER, _ACCOUNT, None, _PASSWORD, "bench")
        finally:
            users.close()
    finally:
        await store.close()


def _ask(site: Site, path: str, expected: Sequence[Call]) -> tuple[list[float], bytes]:
    """How long each request took, in seconds, and the page."""
    took_s = []
    with daemon(site) as running, closing(Browser(running.listening["web"])) as browser:
        headers = browser.sign_in(_ACCOUNT, _PASSWORD)
        for _ in range(_WARM_UP + _ROUNDS):
            status, page, seconds = browser.get(path, headers)
            if status != _HTTP_OK:
                raise Failure(f"{path} answered {status}")
            took_s.append(seconds)
        running.stop()
    missing = sum(f"{call.called}<".encode() not in page for call in expected)
    if missing:
        raise Failure(f"{path} lacks {missing} of {len(expected)} calls")
    return took_s[_WARM_UP:], page


def _clock() -> int:
    return time.time_ns() // 1000
