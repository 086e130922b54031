"""`tollkeeper bench`: measure this program on this machine."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mediation.bench.bill import BillOptions, run_bill
from mediation.bench.detect import DetectOptions, run_detect, words_of
from mediation.bench.ingest import IngestOptions, run_ingest
from mediation.bench.invoice import run_invoice
from mediation.bench.pages import LEAST_ACCOUNTS, PagesOptions, run_pages
from mediation.bench.rate import run_rate
from mediation.bench.search import run_search
from mediation.cli.options import add_command, add_json, print_json
from mediation.failure import Failure


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "bench", run, "measure this program on this machine",
        "Each benchmark starts and ends what it needs itself. Ratios are taken in one run and say more than absolute"
        " figures, which belong to a machine and its load.",
    )  # fmt: skip
    kinds = parser.add_subparsers(dest="bench", metavar="BENCH", required=True)
    ingest = kinds.add_parser(
        "ingest", help="records over HTTP into the store",
        description="Start the daemon as its own process on a fresh store, post records from another one, and compare"
        " with a bare executemany of the same rows (the floor). Afterwards the store must hold exactly what was sent.",
    )  # fmt: skip
    ingest.add_argument(
        "--records", type=_count, default=1_000_000, metavar="N", help="records in all (default 1000000)"
    )
    ingest.add_argument("--batch", type=_count, default=500, metavar="N", help="records a request (default 500)")
    ingest.add_argument("--in-flight", type=_count, default=20, metavar="N", help="requests under way (default 20)")
    ingest.add_argument(
        "--accounts", type=_count, default=100_000, metavar="N", help="with a line each (default 100000)"
    )
    ingest.add_argument(
        "--events", type=int, choices=range(7), default=0, metavar="N",
        help="account events on each account, 0 to 6 (default 0)",
    )  # fmt: skip
    ingest.add_argument("--prefixes", type=_count, default=20_000, metavar="N", help="of the deck (default 20000)")
    ingest.add_argument(
        "--directory", type=Path, metavar="DIR", help="where to put the store (default: a temporary one)"
    )
    add_json(ingest)
    rate = kinds.add_parser(
        "rate", help="pure rating",
        description="Rate calls on one core by a deck of 20,000 prefixes with two periods, and time the deck's load.",
    )  # fmt: skip
    rate.add_argument("--deck", type=_count, metavar="ROWS", help="a deck of so many rows instead of 40000")
    add_json(rate)
    search = kinds.add_parser(
        "search", help="pages of customers and of staff",
        description="Fill a store with a year of calls, a hundred an account, and search it by accounts, lines and"
        " called numbers drawn by chance.",
    )  # fmt: skip
    search.add_argument(
        "--rows", type=_count, default=1_000_000, metavar="N", help="transactions in the store (default 1000000)"
    )
    add_json(search)
    _add_pages(kinds)
    _add_detect(kinds)
    _add_bill(kinds)
    _add_invoice(kinds)


def _add_pages(kinds: Any) -> None:
    pages = kinds.add_parser(
        "pages", help="every page, while records come in",
        description="Start the daemon as its own process on a fresh store and post records at full speed: that is its"
        " capacity. Then go on at half of it, and meanwhile ask for every page and customer search in turn, one at a"
        " time, as 20 customers (with 50 lines each), staff, an operator and a program. A page that does not answer"
        " with 200 is named, and the exit status is 1.",
        epilog="--json: rows (when the pages begin), capacity_per_s, ingest_per_s, pages (the 95th percentile of each,"
        " ms), worst_p95_ms; details (requests, p50_ms, p95_ms, max_ms, bytes of each), failures, sign_in_p50_ms (slow"
        " on purpose, and not among the pages), ack_p99_ms of the records, and others_cores: how many cores were busy"
        " with something else.",
    )  # fmt: skip
    pages.add_argument(
        "--records", type=_count, default=1_000_000, metavar="N", help="in the store before (default 1000000)"
    )
    pages.add_argument("--seconds", type=_count, default=30, metavar="S", help="how long to ask (default 30)")
    pages.add_argument("--accounts", type=_count, default=100_000, metavar="N", help="default 100000; at least 100")
    pages.add_argument("--prefixes", type=_count, default=20_000, metavar="N", help="of the deck (default 20000)")
    pages.add_argument(
        "--directory", type=Path, metavar="DIR", help="where to put the store (default: a temporary one)"
    )
    add_json(pages)


def _add_bill(kinds: Any) -> None:
    bill = kinds.add_parser(
        "bill", help="a bill run, while records come in",
        description="Start the daemon as its own process on a fresh store and post records of an ended cycle at full"
        " speed: that is its capacity. Then post others at half of it, and meanwhile issue the bills of all accounts."
        " Afterwards `recount` must find no difference.",
        epilog="--json: accounts, bills, transactions (when the run begins), seconds, ingest_per_s (during the run),"
        " capacity_per_s, ingest_went_on (until the end of it), charges, run_cpu_s and run_rss_mb of the bill run,"
        " daemon_cpu_s, and others_cores: how many cores were busy with something else, the load generator's included.",
    )  # fmt: skip
    bill.add_argument("--accounts", type=_count, default=100_000, metavar="N", help="default 100000")
    bill.add_argument("--transactions", type=_count, default=1_000_000, metavar="N", help="to bill (default 1000000)")
    bill.add_argument("--seconds", type=_count, default=60, metavar="S", help="of records beside it (default 60)")
    bill.add_argument("--prefixes", type=_count, default=20_000, metavar="N", help="of the deck (default 20000)")
    bill.add_argument("--directory", type=Path, metavar="DIR", help="where to put the store (default: a temporary one)")
    add_json(bill)


def _add_detect(kinds: Any) -> None:
    detect = kinds.add_parser(
        "detect", help="from a record to its line's bar, while records come in",
        description="Start the daemon as its own process on a fresh store, and a NAS with a live session of each line"
        " that is to be barred. Post records at full speed: that is the capacity. Then go on at half of it, and"
        " meanwhile post, one by one, records that take an account over its credit limit. The latency is from when such"
        " a record's request began to be posted to the NAS' acknowledgement of the Disconnect-Request. Each of the"
        " lines must have been barred once, and no other, else the exit status is 1.",
        epilog="--json: firings, p50_ms, p90_ms, p99_ms, max_ms, and min, p1, p10, p25, p75, p95, p999 likewise;"
        " capacity_per_s, ingest_per_s, ack_p99_ms of the records, cpu_us_per_firing (the daemon's, beyond what as many"
        " other records take), histogram (how many latencies by their bound in ms), and others_cores: how many cores"
        " were busy with something else.",
    )  # fmt: skip
    detect.add_argument("--firings", type=_count, default=10_000, metavar="N", help="default 10000")
    detect.add_argument(
        "--seconds", type=_count, metavar="S", help="to spread them over (default: 200 firings a second)"
    )
    detect.add_argument(
        "--records", type=_count, default=500_000, metavar="N", help="to measure the capacity by (default 500000)"
    )
    detect.add_argument(
        "--accounts", type=_count, default=100_000, metavar="N", help="that nothing happens to (default 100000)"
    )
    detect.add_argument("--prefixes", type=_count, default=20_000, metavar="N", help="of the deck (default 20000)")
    detect.add_argument(
        "--directory", type=Path, metavar="DIR", help="where to put the store (default: a temporary one)"
    )
    add_json(detect)


def _add_invoice(kinds: Any) -> None:
    invoice = kinds.add_parser(
        "invoice", help="a long invoice as its page has it, and as a PDF",
        description="Start the daemon as its own process on a fresh store with an invoice of so many calls on five"
        " lines, and ask for its page 50 times, as its customer; every call must be on it. Then make the PDF, 3 times.",
        epilog="--json: calls, html_p50_ms, html_p95_ms (from the request to the last byte), pdf_ms and pdf_cpu_ms (the"
        " medians of the time that passes and of the processor's), html_bytes, pdf_bytes.",
    )  # fmt: skip
    invoice.add_argument("--calls", type=_count, default=2000, metavar="N", help="default 2000")
    add_json(invoice)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.bench == "rate":
        figures = run_rate(args.deck)
    elif args.bench == "invoice":
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-") as directory:
            figures = run_invoice(args.calls, Path(directory))
    elif args.bench == "search":
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-") as directory:
            figures = run_search(args.rows, Path(directory))
    elif args.bench == "pages":
        wanted = PagesOptions(args.records, args.seconds, max(args.accounts, LEAST_ACCOUNTS), args.prefixes)
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-", dir=args.directory) as directory:
            figures = run_pages(wanted, Path(directory))
    elif args.bench == "bill":
        billed = BillOptions(args.accounts, args.transactions, args.prefixes, args.seconds)
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-", dir=args.directory) as directory:
            figures = run_bill(billed, Path(directory))
    elif args.bench == "detect":
        asked = DetectOptions(args.firings, args.records, args.accounts, args.prefixes, args.seconds)
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-", dir=args.directory) as directory:
            figures = run_detect(asked, Path(directory))
    else:
        options = IngestOptions(args.records, args.batch, args.in_flight, args.accounts, args.prefixes, args.events)
        with tempfile.TemporaryDirectory(prefix="tollkeeper-bench-", dir=args.directory) as directory:
            figures = run_ingest(options, Path(directory))
    if args.json:
        print_json(figures)
    else:
        sys.stdout.writelines(_WORDS.get(args.bench, rows_of)(figures))
    if figures.get("failures"):
        raise Failure("; ".join(f"{name} {why}" for name, why in figures["failures"].items()))
    return 0


def rows_of(figures: Mapping[str, Any]) -> Iterator[str]:
    """Figures for people, one a line."""
    return (f"{name:20} {value}\n" for name, value in figures.items())


def table_of(figures: Mapping[str, Any]) -> Iterator[str]:
    """The figures of `bench pages` for people: the pages as a table, then the rest."""
    pages = figures["details"]
    width = max(map(len, pages))
    yield f"{'page':{width}} {'p50 ms':>9} {'p95 ms':>9} {'max ms':>9} {'requests':>9} {'bytes':>9}\n"
    for name, page in pages.items():
        if name in figures["failures"]:
            yield f"{name:{width}} {figures['failures'][name]}\n"
            continue
        times = " ".join(f"{page[key]:>9.1f}" for key in ("p50_ms", "p95_ms", "max_ms"))
        yield f"{name:{width}} {times} {page['requests']:>9} {page['bytes']:>9}\n"
    yield "\n"
    yield from rows_of({name: value for name, value in figures.items() if name not in ("pages", "details", "failures")})


_WORDS: Final = {"pages": table_of, "detect": words_of}
"""How the figures of some benchmarks are told to people."""


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
