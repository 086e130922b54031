"""The benchmarks of `tollkeeper bench`. Each is one entry: what it measures, its options, and what runs it."""

import argparse
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mediation.bench.bill import BillOptions, run_bill
from mediation.bench.detect import DetectOptions, run_detect
from mediation.bench.ingest import IngestOptions, run_ingest
from mediation.bench.invoice import run_invoice
from mediation.bench.overload import OverloadOptions, run_overload
from mediation.bench.pages import LEAST_ACCOUNTS, PagesOptions, run_pages
from mediation.bench.rate import run_rate
from mediation.bench.rerate import RerateOptions, run_rerate
from mediation.bench.search import SearchOptions, run_search
from mediation.bench.start import StartOptions, run_start
from mediation.bench.told import distribution_of, rows_of, table_of


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the command line."""

    flag: str
    words: str
    reading: Mapping[str, Any] = field(default_factory=lambda: {"action": "store_true"})
    """How argparse reads it."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark."""

    name: str
    summary: str
    """In the list of benchmarks."""
    description: str
    options: tuple[Option, ...]
    """Besides `--json`."""
    measure: Callable[[Namespace, Path], Mapping[str, Any]]
    """Measures in an empty directory. What it finds wrong with the figures goes into them as `failures`, by name."""
    told: Callable[[Mapping[str, Any]], Iterable[str]] = rows_of
    """The figures for people."""
    figures: str = ""
    """What those of `--json` are, where their names do not say it."""


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _number(flag: str, default: int, words: str = "", metavar: str = "N") -> Option:
    told = f"{words} (default {default})" if words else f"default {default}"
    return Option(flag, told, {"type": _count, "default": default, "metavar": metavar})


_PREFIXES: Final = _number("--prefixes", 20_000, "of the deck")
_DIRECTORY: Final = Option(
    "--directory", "where to put the store (default: a temporary one)", {"type": Path, "metavar": "DIR"}
)

_NONE: Final[Mapping[str, Any]] = {"type": _count, "default": 0, "metavar": "N"}

_INGEST: Final = Bench(
    "ingest",
    "records over HTTP into the store",
    "Start the daemon as its own process on a fresh store, post records from another one, and compare with a bare"
    " executemany of the same rows (the floor). Afterwards the store must hold exactly what was sent.",
    (
        _number("--records", 1_000_000, "records in all"),
        _number("--batch", 500, "records a request"),
        _number("--in-flight", 20, "requests under way"),
        _number("--accounts", 100_000, "with a line each"),
        Option(
            "--events",
            "account events on each account, 0 to 6 (default 0)",
            {"type": int, "choices": range(7), "default": 0, "metavar": "N"},
        ),
        _PREFIXES,
        Option("--preload", "first make so many rows of the twelve months before", {**_NONE, "dest": "preload"}),
        Option("--preload-live", "first make so many rows of this month, by chance", {**_NONE, "dest": "preload_live"}),
        _DIRECTORY,
    ),
    lambda args, directory: run_ingest(
        IngestOptions(
            args.records, args.batch, args.in_flight, args.accounts, args.prefixes, args.events, args.preload,
            args.preload_live,
        ),
        directory,
    ),
    figures="--json, after --preload: empty_per_s (the same on an empty store, before), growth (the ratio of the two).",
)  # fmt: skip

_START: Final = Bench(
    "start",
    "a large store, until it is ready",
    "Make rows of the twelve months before, have the daemon count them, post records, kill it (-9), and see how long it"
    " takes to be ready again: it has to find its keys, and count the records again.",
    (
        _number("--rows", 50_000_000, "made"),
        _number("--records", 900_000, "posted before it is killed"),
        _number("--accounts", 100_000, "with a line each"),
        _PREFIXES,
        _DIRECTORY,
    ),
    lambda args, directory: run_start(StartOptions(args.rows, args.records, args.accounts, args.prefixes), directory),
    figures="--json: rows, ready_s (the median of three), ready_each_s, counted_again, store_gb.",
)

_RATE: Final = Bench(
    "rate",
    "pure rating",
    "Rate calls on one core by a deck of 20,000 prefixes with two periods, and time the deck's load.",
    (
        Option("--deck", "about so many rows instead of 20,000 prefixes", {"type": _count, "metavar": "ROWS"}),
        Option(
            "--hard", "with steps, a minimum and a cap in each prefix, calls about a clock change, and an allowance"
        ),
    ),
    lambda args, _directory: run_rate(args.deck, hard=args.hard),
    figures="--json: calls_per_s (of the processor's time; the median of five rounds), deck_rows, deck_load_s, rss_mb"
    " (the most until the deck was ready; the calls come after).",
)

_DETECT: Final = Bench(
    "detect",
    "from a record to its line's bar, while records come in",
    "Start the daemon as its own process on a fresh store, and a NAS with a live session of each line that is to be"
    " barred. Post records at full speed: that is the capacity. Then go on at half of it, and meanwhile post, one by"
    " one, records that take an account over its credit limit. The latency is from when such a record's request began"
    " to be posted to the NAS' acknowledgement of the Disconnect-Request. Each of the lines must have been barred"
    " once, and no other, else the exit status is 1.",
    (
        _number("--firings", 10_000),
        Option("--seconds", "to spread them over (default: 200 firings a second)", {"type": _count, "metavar": "S"}),
        _number("--records", 500_000, "to measure the capacity by"),
        _number("--accounts", 100_000, "that nothing happens to"),
        _PREFIXES,
        _DIRECTORY,
    ),
    lambda args, directory: run_detect(
        DetectOptions(args.firings, args.records, args.accounts, args.prefixes, args.seconds), directory
    ),
    told=distribution_of,
    figures="--json: firings, p50_ms, p90_ms, p99_ms, max_ms, and min, p1, p10, p25, p75, p95, p999 likewise;"
    " capacity_per_s, ingest_per_s, ack_p99_ms of the records, cpu_us_per_firing (the daemon's, beyond what the records"
    " of that time take: cpu_us_per_record each, measured at the same pace before and after), histogram (how many"
    " latencies by their bound in ms), and others_cores: how many cores were busy with something else.",
)

_SEARCH: Final = Bench(
    "search",
    "searches of customers and of staff in a large store",
    "Make rows of the twelve months before, a hundred an account, start the daemon as its own process, and post records"
    " at full speed: that is its capacity. Then search through the API, one search at a time: a customer's own calls,"
    " with and without a condition, in any order; and as staff by line and by called number. First quiet, then while"
    " records are posted at half the capacity. A search that is not answered with 200, or finds nothing, is named, and"
    " the exit status is 1.",
    (
        _number("--rows", 10_000_000, "made"),
        _number("--seconds", 30, "how long to search, each time", "S"),
        _number("--records", 500_000, "to measure the capacity by"),
        _PREFIXES,
        _DIRECTORY,
    ),
    lambda args, directory: run_search(SearchOptions(args.rows, args.records, args.seconds, args.prefixes), directory),
    told=table_of,
    figures="--json: rows (when records are posted beside), customer_p95_ms, staff_line_p95_ms, staff_called_p95_ms"
    " (beside records), and quiet_customer_p95_ms likewise; capacity_per_s, ingest_per_s, details (requests, p50_ms,"
    " p95_ms, max_ms, bytes of each), failures, ack_p99_ms of the records, and others_cores: how many cores were busy"
    " with something else.",
)

_PAGES: Final = Bench(
    "pages",
    "every page, while records come in",
    "Start the daemon as its own process on a fresh store and post records at full speed: that is its capacity. Then"
    " go on at half of it, and meanwhile ask for every page and customer search in turn, one at a time, as 20 customers"
    " (with 50 lines each), staff, an operator and a program. A page that does not answer with 200 is named, and the"
    " exit status is 1.",
    (
        _number("--records", 1_000_000, "in the store before"),
        _number("--seconds", 30, "how long to ask", "S"),
        _number("--accounts", 100_000, f"at least {LEAST_ACCOUNTS}"),
        _PREFIXES,
        _DIRECTORY,
    ),
    lambda args, directory: run_pages(
        PagesOptions(args.records, args.seconds, max(args.accounts, LEAST_ACCOUNTS), args.prefixes), directory
    ),
    told=table_of,
    figures="--json: rows (when the pages begin), capacity_per_s, ingest_per_s, pages (the 95th percentile of each,"
    " ms), worst_p95_ms; details (requests, p50_ms, p95_ms, max_ms, bytes of each), failures, sign_in_p50_ms (slow on"
    " purpose, and not among the pages), ack_p99_ms of the records, and others_cores: how many cores were busy with"
    " something else.",
)

_OVERLOAD: Final = Bench(
    "overload",
    "ten times as many records as it can take",
    "Start the daemon as its own process on a fresh store and post records from 20 connections: that is its capacity."
    " Then offer ten times as many from 400, meanwhile ask for pages as customers and staff, one at a time, in both"
    " cases; and see how long it takes afterwards until acknowledgements are as quick as before. What is neither"
    " acknowledged nor refused with 503 and Retry-After is named, and the exit status is 1; the store must hold exactly"
    " what was acknowledged.",
    (
        _number("--records", 300_000, "in the store before"),
        _number("--seconds", 20, "of each", "S"),
        _number("--accounts", 100_000),
        _PREFIXES,
        _DIRECTORY,
    ),
    lambda args, directory: run_overload(
        OverloadOptions(args.records, args.seconds, args.accounts, args.prefixes), directory
    ),
    figures="--json: capacity_per_s, accepted_per_s (under overload), kept (the ratio of the two), offered_times (the"
    " capacity), answered_503, ack_p50_ms and ack_p99_ms of what was accepted, pages_asked, pages_p95_ms and"
    " pages_max_ms (under overload), quiet_pages_p95_ms (at capacity), rss_before_mb (the most at capacity),"
    " rss_half_mb (the most in the first half of the overload), rss_peak_mb, rss_after_mb, cpu_us_per_record and"
    " overloaded_cpu_us_per_record (the daemon's), load_cpu_s, recovered_s, stored, failures, and others_cores: how"
    " many cores were busy with something else.",
)

_BILL: Final = Bench(
    "bill",
    "a bill run, while records come in",
    "Start the daemon as its own process on a fresh store and post records of an ended cycle at full speed: that is"
    " its capacity. Then post others at half of it, and meanwhile issue the bills of all accounts. Afterwards `recount`"
    " must find no difference.",
    (
        _number("--accounts", 100_000),
        _number("--transactions", 1_000_000, "to bill"),
        _number("--seconds", 60, "of records beside it", "S"),
        _PREFIXES,
        _DIRECTORY,
    ),
    lambda args, directory: run_bill(
        BillOptions(args.accounts, args.transactions, args.prefixes, args.seconds), directory
    ),
    figures="--json: accounts, bills, transactions (when the run begins), seconds, ingest_per_s (during the run),"
    " capacity_per_s, ingest_went_on (until the end of it), charges, run_cpu_s and run_rss_mb of the bill run,"
    " daemon_cpu_s, and others_cores: how many cores were busy with something else, the load generator's included.",
)

_RERATE: Final = Bench(
    "rerate",
    "charging transactions again, while records come in",
    "Start the daemon as its own process on a fresh store and post records at full speed: that is its capacity. Then"
    " import a dearer deck, post others at half of the capacity, and meanwhile charge all that is there again."
    " Afterwards a second run must change nothing, and `recount` must find no difference.",
    (
        _number("--transactions", 1_000_000, "to charge again"),
        _number("--accounts", 100_000, "with a line each"),
        _number("--seconds", 90, "of records beside it", "S"),
        _PREFIXES,
        _DIRECTORY,
    ),
    lambda args, directory: run_rerate(
        RerateOptions(args.transactions, args.accounts, args.prefixes, args.seconds), directory
    ),
    figures="--json: records_per_s (of those that were there before), transactions, changed, seconds, ingest_per_s"
    " (during the run), capacity_per_s, ingest_went_on (until the end of it), run_cpu_s and run_rss_mb of the"
    " command, daemon_cpu_s, and others_cores: how many cores were busy with something else, the load generator's"
    " included.",
)

_INVOICE: Final = Bench(
    "invoice",
    "a long invoice as its page has it, and as a PDF",
    "Start the daemon as its own process on a fresh store with an invoice of so many calls on five lines, and ask for"
    " its page 50 times, as its customer; every call must be on it. Then make the PDF, 3 times.",
    (_number("--calls", 2000),),
    lambda args, directory: run_invoice(args.calls, directory),
    figures="--json: calls, html_p50_ms, html_p95_ms (from the request to the last byte), pdf_ms and pdf_cpu_ms (the"
    " medians of the time that passes and of the processor's), html_bytes, pdf_bytes.",
)

BENCHES: Final = (_INGEST, _START, _RATE, _DETECT, _SEARCH, _PAGES, _OVERLOAD, _BILL, _RERATE, _INVOICE)
"""In the order in which `--help` lists them."""
