"""A search finds what a plain look through the exported rows finds, and pages through it without losing a call."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating.search.conditions import SearchError, parse_conditions
from rating.search.keys import SORTED_BY, Sort
from rating.search.search import Page, find_transaction, search_account, search_all
from rating.search.seeking import lines_of
from rating.store.reading import export
from tests.builders import NOW, a_tariff_text, accounts_csv, cdr_json, lines_csv, micros
from tests.contract.store_site import Site

ZONE: Final = ZoneInfo("America/New_York")
ADA, BOB = "4000012345", "4000099999"
LINES: Final = ("12125550142", "12125550143", "sip:ada@voip.example", "441632960001")
MOVED: Final = "12125550143"
"""Ada's until 10 November, then Bob's."""

COUNTRIES: Final = {
    "+442079460018": "GB", "+441534888888": "JE", "+14165550100": "CA", "+12125550199": "US", "+4930123456": "DE",
    "+883510001234": None, "sip:bob@voip.example": None, "+77272583000": "KZ",
}  # fmt: skip
PLACES: Final = (None, "London", "Zürich HB", "LONDON CITY", "ÉTOILE ZÜRICH", "St. John's", "50%_off")
TYPES: Final = ("direct", "operator", "premium")
DEVICES: Final = (None, "Phone-1", "phone-2")
STARTS: Final = (
    "2026-09-30T23:59:59.999999-04:00", "2026-10-01T00:00:00-04:00", "2026-11-01T01:30:00-04:00",
    "2026-11-01T01:30:00-05:00", "2026-11-09T12:00:00-05:00", "2026-11-10T00:00:00-05:00",
    "2026-11-20T09:07:31.25-05:00",
)  # fmt: skip
DURATIONS: Final = (
    msgspec.Raw(b"0"),
    msgspec.Raw(b"59.5"),
    msgspec.Raw(b"60"),
    msgspec.Raw(b"61"),
    msgspec.Raw(b"3700"),
)

Triple = tuple[str, str, str]
Rows = list[dict[str, Any]]


async def fill(site: Site, calls: int = 160) -> Rows:
    """Calls of every kind; their exported rows, by ascending id."""
    await site.store.import_accounts(
        accounts_csv(f"{ADA},Ada,,USD,America/New_York,,world,,1", f"{BOB},Bob,,EUR,Europe/Berlin,,monde,,1"), NOW
    )
    await site.store.import_lines(
        lines_csv(
            *(f"{line},{ADA},Transcontinental,long-distance,,," for line in LINES[:3]),
            f"{MOVED},{BOB},Transatlantic,long-distance,,,2026-11-10",
            f"{LINES[3]},{BOB},Transatlantic,local,,,",
        )
    )
    for name, currency in (("world", "USD"), ("monde", "EUR")):
        rows = ("4420,London,,0,0.20,1.20,60,60/60", "1,North America,,0,0,0.06,60,6/6", ",,,0,0.5,0.01,1,1/1")
        await site.import_tariff(a_tariff_text(name, *rows, currency=currency))
    await site.follow()
    await send(site, range(calls))
    rows = await site.exported()
    assert len(rows) == calls
    assert {row["account"] for row in rows if row["line"] == "+" + MOVED} == {ADA, BOB}
    return sorted(rows, key=lambda row: int(row["transaction"]))


async def send(site: Site, numbers: Sequence[int]) -> None:
    """One call for each number, in one batch; equal numbers make equal calls."""
    lines = []
    for n in numbers:
        fields = {
            "id": f"n{n}", "calling": LINES[n % 4], "called": [*COUNTRIES][n // 3 % 8], "start": STARTS[n // 2 % 7],
            "duration": DURATIONS[n // 5 % 5], "type": TYPES[n // 7 % 3], "place": PLACES[n // 4 % 7],
            "device": DEVICES[n // 11 % 3],
        }  # fmt: skip
        lines.append(cdr_json(**{name: value for name, value in fields.items() if value is not None}))
    assert await site.send(*lines) == (len(lines), 0, 0)


def day_or_instant(text: str) -> tuple[int, int]:
    if len(text) > len("2026-11-20"):
        return micros(text), micros(text) + 1
    day = date.fromisoformat(text)
    first, last = (datetime.combine(d, datetime.min.time(), ZONE) for d in (day, day + timedelta(days=1)))
    return int(first.timestamp()) * 10**6, int(last.timestamp()) * 10**6


def exactly(text: str) -> tuple[int, int]:
    value = int(Decimal(text) * 10**6)
    return value, value + 1


def ordered(row: dict[str, Any], column: str) -> int:
    if column == "start":
        return micros(row["start"])
    value = row[column]
    return int(Decimal(bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)) * 10**6)


def in_spans(value: int, op: str, spans: list[tuple[int, int]]) -> bool:
    first, end = spans[0][0], spans[-1][1]
    return {
        "=": first <= value < end, "!=": not first <= value < end, "<": value < first, "<=": value < end,
        ">": value >= end, ">=": value >= first, "between": first <= value < end,
        "in": any(a <= value < b for a, b in spans), "empty": False,
    }[op]  # fmt: skip


def matches(found: str, op: str, values: list[str]) -> bool:
    return {
        "=": found == values[0], "!=": found != values[0], "in": found in values, "empty": found == "",
        "begins": found.startswith(values[0]), "contains": values[0] in found,
    }[op]  # fmt: skip


def holds(triple: Triple, row: dict[str, Any]) -> bool:
    """Whether an exported row fulfils a condition, found out as plainly as possible."""
    column, op, text = triple
    values = text.split("..") if op == "between" else text.split(",") if op == "in" else [text]
    if column in ("start", "duration", "charge"):
        read = day_or_instant if column == "start" else exactly
        return in_spans(ordered(row, column), op, [read(value) for value in values if value] or [(0, 0)])
    if column == "country":
        return matches(COUNTRIES[row["called"]] or "", op, values)
    found = row["place_called" if column == "place" else column] or ""
    if column in ("line", "called"):
        return matches(found.removeprefix("+"), op, [value.removeprefix("+") for value in values])
    return matches(found.lower(), op, [value.lower() for value in values])


VALUES: Final[dict[str, tuple[str, ...]]] = {
    "account": (ADA, BOB, "4"),
    "line": tuple("+" + line if line[0].isdigit() else line for line in LINES),
    "called": tuple(COUNTRIES),
    "place": ("London", "zürich hb", "ZÜRICH", "étoile zürich", "ü", "st. john's", "50%_off", "%", "_", "\\", "o"),
    "destination": ("london", "North America", "n"),
    "country": ("GB", "JE", "CA", "US", "DE", "KZ", "RU", "FR"),
    "service": ("long-distance", "LOCAL", "lo"),
    "type": TYPES,
    "provider": ("Transatlantic", "trans", "TransContinental"),
    "start": ("2026-09-30", "2026-10-01", "2026-11-01", "2026-11-10", "2026-11-10T05:00:00Z",
              "2026-11-20T09:07:31.25-05:00"),
    "duration": ("0", "59.5", "60", "60.000001", "3700"),
    "charge": ("0", "0.5", "1.4", "1.0950", "2.600000", "37.5"),
    "device": ("phone-1", "PHONE", "-2"),
}  # fmt: skip


@st.composite
def triples(draw: st.DrawFn) -> Triple:
    column = draw(st.sampled_from([*VALUES]))
    if column in ("start", "duration", "charge"):
        op = draw(st.sampled_from(("=", "!=", "<", "<=", ">", ">=", "between", "in", "empty")))
    else:
        op = draw(st.sampled_from(("=", "!=", "in", "empty")))
        if column != "country":
            op = draw(st.sampled_from((op, "begins", "contains")))
    value = draw(st.sampled_from(VALUES[column]))
    if op == "empty":
        return column, op, ""
    if op == "in":
        return column, op, ",".join(draw(st.lists(st.sampled_from(VALUES[column]), min_size=1, max_size=3)))
    if op == "between":
        other = draw(st.sampled_from(VALUES[column]))
        read = day_or_instant if column == "start" else exactly
        return column, op, "..".join(sorted((value, other), key=lambda text: read(text)[0]))
    if column in ("line", "called") and op == "begins":
        value = value[: draw(st.integers(2, len(value)))]
    if column in ("line", "called") and op == "contains":
        value = value[-draw(st.integers(1, 4)) :]
    if column == "type" and op in ("begins", "contains"):
        value = value[:3]
    return column, op, value


def sorted_rows(rows: Rows, sort: Sort) -> Rows:
    def value(row: dict[str, Any]) -> Any:
        if sort.column in ("start", "duration", "charge"):
            return ordered(row, sort.column)
        text = row["place_called" if sort.column == "place" else sort.column] or ""
        if sort.column in ("account", "line", "called"):
            return text.removeprefix("+")
        return "".join(c.lower() if c.isascii() else c for c in text)

    return sorted(rows, key=lambda row: (value(row), row["transaction"]), reverse=sort.descending)


def ids(rows: Rows) -> list[int]:
    return [row["transaction"] for row in rows]


def all_pages(read: Callable[[str | None], Page], most: int = 400) -> tuple[Rows, list[Page]]:
    pages = [read(None)]
    while pages[-1].next is not None:
        pages.append(read(pages[-1].next))
        assert len(pages) < most
    return [row for page in pages for row in page.rows], pages


def check_totals(page: Page, rows: Rows) -> None:
    assert page.totals is not None
    charges: dict[str, int] = {}
    for row in rows:
        charges[row["currency"]] = charges.get(row["currency"], 0) + ordered(row, "charge")
    assert page.totals.count == len(rows)
    assert page.totals.charge_micros == charges
    assert page.totals.duration_us == sum(ordered(row, "duration") for row in rows)


CHECKED: Final = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.differing_executors])
ANY: Final = st.lists(triples(), max_size=3)


async def test_a_customers_search_finds_what_a_look_through_the_rows_finds(site: Site) -> None:
    every = await fill(site)

    def check(cx: sqlite3.Connection) -> None:
        @CHECKED
        @given(
            st.sampled_from((ADA, BOB)), ANY, st.sampled_from(SORTED_BY), st.booleans(), st.sampled_from((1, 7, 500))
        )
        def agrees(account: str, given_: list[Triple], column: str, descending: bool, limit: int) -> None:
            sort = Sort(column, descending)
            conditions = parse_conditions(given_, ZONE, "USD")
            lines = lines_of(cx, account)
            expected = [r for r in every if r["account"] == account and all(holds(t, r) for t in given_)]
            rows, pages = all_pages(lambda after: search_account(cx, account, lines, conditions, sort, after, limit))
            assert rows == sorted_rows(expected, sort)
            for page in pages:
                check_totals(page, expected)

        agrees()

    await site.store.read(check)


async def test_a_search_over_all_accounts_finds_what_a_look_through_the_rows_finds(site: Site) -> None:
    every = await fill(site)

    def check(cx: sqlite3.Connection) -> None:
        @CHECKED
        @given(ANY, st.sampled_from((1, 7, 500)), st.sampled_from((5, 60, 100_000)))
        def agrees(given_: list[Triple], limit: int, budget: int) -> None:
            conditions = parse_conditions(given_, ZONE, None)
            expected = [row for row in reversed(every) if all(holds(triple, row) for triple in given_)]
            rows, pages = all_pages(lambda after: search_all(cx, conditions, after, limit, budget))
            assert rows == expected
            for page in pages:
                if page.totals is not None:
                    check_totals(page, expected)
                assert page.searched_back_to_at is None or page.next is not None
            if budget > len(every) and limit > len(every):
                assert pages[0].totals is not None

        agrees()

    await site.store.read(check)


async def test_every_page_is_within_its_budget_and_says_how_far_back_it_looked(site: Site) -> None:
    await fill(site)
    conditions = parse_conditions([("device", "=", "no such device")], ZONE, None)
    page = await site.store.read(search_all, conditions, None, 10, 50)
    assert (page.rows, page.totals, page.searched_back_to_at) == ([], None, NOW)
    _, pages = await site.store.read(lambda cx: all_pages(lambda after: search_all(cx, conditions, after, 10, 50)))
    assert len(pages) == 4
    assert pages[-1].searched_back_to_at is None


@pytest.mark.parametrize("sort", [Sort(), Sort("charge", False), Sort("called", True), Sort("place", False)])
async def test_pages_show_each_call_once_in_order_while_calls_arrive(site: Site, sort: Sort) -> None:
    before = sorted_rows([row for row in await fill(site) if row["account"] == ADA], sort)
    shown: Rows = []
    after, fresh = None, 1000
    while True:
        lines = await site.store.read(lines_of, ADA)
        page = await site.store.read(search_account, ADA, lines, (), sort, after, 9)
        shown += page.rows
        if page.next is None:
            break
        after = page.next
        await send(site, range(fresh, fresh + 3))
        fresh += 3
        assert len(shown) < 400
    assert [row for row in shown if row in before] == before
    assert shown == sorted_rows(shown, sort)
    assert len(set(ids(shown))) == len(shown)


async def test_the_newest_calls_of_all_accounts_are_shown_once_while_calls_arrive(site: Site) -> None:
    before = [*reversed(await fill(site))]
    conditions = parse_conditions([("called", "in", ",".join(COUNTRIES))], ZONE, None)
    for some in ((), conditions):
        shown: Rows = []
        after = None
        while after is not None or not shown:
            page = await site.store.read(search_all, some, after, 9)
            shown += page.rows
            await send(site, range(2000 + len(shown) + 1000 * bool(some), 2003 + len(shown) + 1000 * bool(some)))
            after = page.next
            if after is None:
                break
        assert shown[-len(before) :] == before
        assert len(set(ids(shown))) == len(shown)


async def test_a_line_that_moved_shows_each_account_its_own_calls(site: Site) -> None:
    every = await fill(site)
    for account in (ADA, BOB):
        assert MOVED in await site.store.read(lines_of, account)
        conditions = parse_conditions([("line", "=", "+1 (212) 555-0143")], ZONE, "USD")
        page = await site.store.read(search_account, account, list(LINES), conditions, Sort(), None, 500)
        assert sorted(ids(page.rows)) == [
            row["transaction"] for row in every if row["account"] == account and row["line"] == "+" + MOVED
        ]
        assert page.rows


async def test_another_accounts_number_finds_nothing(site: Site) -> None:
    await fill(site)
    for triple in (("account", "=", BOB), ("account", "!=", ADA), ("line", "=", LINES[3])):
        conditions = parse_conditions([triple], ZONE, "USD")
        page = await site.store.read(search_account, ADA, list(LINES), conditions, Sort(), None, 500)
        assert (page.rows, page.totals.count) == ([], 0)


async def test_a_single_transaction_is_found_by_its_own_account_alone(site: Site) -> None:
    every = await fill(site)
    for row in every[::17]:
        number, account = row["transaction"], row["account"]
        other = BOB if account == ADA else ADA
        for owner, found in ((None, row), (account, row), (other, None), ("", None)):
            assert await site.store.read(find_transaction, number, owner) == found
    for number in (0, -1, len(every) + 1, 2**70):
        assert await site.store.read(find_transaction, number) is None


async def test_an_empty_store_answers(site: Site) -> None:
    page = await site.store.read(search_account, ADA, [LINES[0]], (), Sort(), None, 50)
    assert (page.rows, page.next, page.totals.count) == ([], None, 0)
    page = await site.store.read(search_all, (), None, 50)
    assert (page.rows, page.next, page.totals.count) == ([], None, 0)
    assert await site.store.read(find_transaction, 1) is None


async def test_a_key_of_another_search_is_refused(site: Site) -> None:
    await fill(site)
    key = (await site.store.read(search_account, ADA, list(LINES), (), Sort(), None, 5)).next
    staff_key = (await site.store.read(search_all, (), None, 5)).next
    account = partial(search_account, account=ADA, lines=list(LINES), conditions=(), limit=5)
    for text, sort in ((key, Sort("charge")), (key, Sort("start", False)), (staff_key, Sort()), ("nonsense", Sort())):
        with pytest.raises(SearchError, match="no key of this search"):
            await site.store.read(lambda cx, sort=sort, text=text: account(cx, sort=sort, after=text))
    for text in (key, "nonsense", "!", "W10", "WzE4NDQ2NzQ0MDczNzA5NTUxNjE2XQ"):
        with pytest.raises(SearchError, match="no key of this search"):
            await site.store.read(search_all, (), text, 5)


async def test_the_rows_are_those_of_the_export(site: Site) -> None:
    every = await fill(site)
    page = await site.store.read(search_all, (), None, 500)
    assert page.rows == [*reversed(every)]
    assert await site.store.read(lambda cx: sorted(ids(list(export(cx))))) == ids(every)
