"""Charges are reversed and charged again: once, with everything that was counted of them, and never edited."""

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, Final

import msgspec
import pytest

from rating.counters import Counters
from rating.recount import as_sums, differences, recount
from rating.rerating import Repricer
from rating.store import reratable
from rating.store.batch import STORED_COLUMNS
from rating.store.partitions import last_id
from rating.store.provisioning import get_accounts, tariff_terms
from rating.store.reratable import Scope
from rating.store.rerate_links import Links, links_of
from rating.store.rerating import Correction, Rerated, Run
from rating.store.transactions import find_by_id
from tests.builders import ACCOUNT, CALLING, NOW, a_tariff_text, accounts_csv, cdr_json, lines_csv, micros
from tests.contract.store_site import Site, numbers

EVERYTHING: Final = Scope(from_at=0)
RUN: Final = Run("ada", "a wrong deck", "{}")
LONDON: Final = "4420,London,,0,{fee},{rate},60,{increments}"
HOME: Final = "1,United States,,0,0,0.06,60,6/6"
OTHER: Final = "4000099999"
OTHER_LINE: Final = "12125550199"


class Desk:
    """A site, its counters, and who charges again on it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.counters = Counters(site.directory.accounts)
        self.begun: list[int] = []

    async def follow(self) -> None:
        await self.site.follow()
        self.counters.follow(self.site.directory.accounts)

    async def send(self, *lines: bytes) -> tuple[int, int, int]:
        batch = self.site.batch(*lines)
        admission = await self.site.store.write(lambda: [batch], lambda _, rows: self.counters.add(rows))
        return numbers(admission.outcomes[0])

    async def tariff(self, *rows: str, **more: Any) -> None:
        await self.site.import_tariff(a_tariff_text("standard", *rows, **more))
        await self.site.follow()

    async def london(self, rate: str, fee: str = "0.20", increments: str = "60/60") -> None:
        await self.tariff(LONDON.format(rate=rate, fee=fee, increments=increments), HOME)

    async def price(self, scope: Scope = EVERYTHING) -> list[Correction | str | None]:
        def price(cx: sqlite3.Connection) -> list[Correction | str | None]:
            currencies = {number: currency for number, (_, currency, _) in tariff_terms(cx).items()}
            names = {number: name for name, number in self.site.numbers_of.items()}
            repricer = Repricer(self.site.directory, names, currencies)
            chunks = reratable.read(cx, scope, last_id(cx))
            return [repricer.price(list(row)) for _, rows in chunks for row in rows]

        return await self.site.store.read(price)

    async def write(self, *corrections: Correction, run: Run = RUN) -> Rerated:
        return await self.site.store.rerate(
            corrections, run, NOW + 1, lambda _, rows: self.counters.add(rows), lambda _, run: self.begun.append(run)
        )

    async def rerate(self, scope: Scope = EVERYTHING) -> Rerated:
        found = await self.price(scope)
        return await self.write(*(one for one in found if isinstance(one, Correction)))

    async def rows(self) -> list[tuple[int, str, str, int | None]]:
        """Transaction, the source's id, charge and what it reverses, in the order of the ids."""
        lines = await self.site.exported()
        return sorted((line["transaction"], line["id"], line["charge"], line["reverses"]) for line in lines)

    async def links(self, transaction: int) -> Links | None:
        reverses = next(found[3] for found in await self.rows() if found[0] == transaction)
        return await self.site.store.read(links_of, transaction, reverses)

    async def assert_counted(self) -> None:
        """The counters say what an independent recount says, and a start would load the same."""
        accounts = await self.site.store.read(get_accounts)
        truth = await self.site.store.read(recount, accounts, 1 << 62)
        assert differences(as_sums(self.counters, accounts), truth.sums) == []
        replayed = Counters(self.site.directory.accounts)
        replayed.count_all(one[1:] for one in await self.site.replayed())
        assert sorted(replayed) == sorted(self.counters)


@pytest.fixture
async def desk(site: Site) -> Desk:
    return Desk(site)


async def test_a_charge_is_taken_back_and_posted_anew(desk: Desk) -> None:
    assert await desk.send(cdr_json()) == (1, 0, 0)
    await desk.london("0.60")
    done = await desk.rerate()
    assert [(one.original, one.reversal, one.replacement) for one in done.replaced] == [(1, 2, 3)]
    assert await desk.rows() == [
        (1, "a81f-0001", "2.6000", None),
        (2, "a81f-0001", "-2.6000", 1),
        (3, "a81f-0001", "1.4000", None),
    ]
    taken_back, anew = (await desk.site.exported())[1:]
    assert (taken_back["duration"], taken_back["billed_s"], taken_back["rated_at"]) == (
        -61, -120, "2026-11-20T15:00:00.000001Z",
    )  # fmt: skip
    assert (anew["duration"], anew["billed_s"], anew["rated_at"]) == (61, 120, taken_back["rated_at"])
    usage, _ = desk.counters.usage(ACCOUNT, NOW)
    assert (usage.charge_micros, usage.duration_us, usage.calls, usage.transactions) == (1_400_000, 61_000_000, 1, 3)
    await desk.assert_counted()


ODD: Final = 'q"uo\\te, \u00e9\U0001f600 \u2028 {"a": [1]} null'
WATCHED: Final = (
    "id", "source", "record_id", "answer_at", "duration_us", "called", "line", "account", "service", "type", "device",
    "destination", "place_called", "charge_micros", "tariff", "key",
)  # fmt: skip
"""What counters, events and the list of live sessions look at."""


async def stored_rows(desk: Desk) -> list[dict[str, Any]]:
    rows = [await desk.site.store.read(find_by_id, number) for number in range(1, desk.site.store.last_id + 1)]
    return [dict(zip(STORED_COLUMNS, row, strict=True)) for row in rows if row]


@pytest.mark.parametrize("again", [1, 2])
async def test_both_rows_hold_all_that_the_original_holds_but_what_they_are_for(desk: Desk, again: int) -> None:
    calls = [
        cdr_json(id=ODD, device=ODD, place="Soho", switch=ODD, service="long-distance", cause=16),
        cdr_json(id="m", type="message", units=7),
        cdr_json(id="october", start="2026-10-31T23:59:58Z", duration=0),
        *(cdr_json(id=f"r{n}") for n in range(13)),
    ]
    assert await desk.send(*calls) == (len(calls), 0, 0)
    for rate in ("0.60", "0.30")[:again]:
        before = await stored_rows(desk)
        await desk.tariff(LONDON.format(rate=rate, fee="0.20", increments="60/60").replace("London", f"L {rate}"))
        done = await desk.rerate()
        assert (len(done.replaced), done.passed_over) == (len(calls), 0)
    originals = {row["id"]: row for row in before}
    fresh = {row["id"]: row for row in await stored_rows(desk) if row["id"] not in originals}
    assert [row[0] for row in done.stored] == sorted(fresh)
    for one in done.replaced:
        original, back, anew = originals[one.original], fresh[one.reversal], fresh[one.replacement]
        assert back == original | {
            "id": one.reversal, "key": -1, "rated_at": NOW + 1,
            "reverses": one.original, "duration_us": -original["duration_us"], "billed_s": -original["billed_s"],
            "charge_micros": -original["charge_micros"], "units": original["units"] and -original["units"],
        }  # fmt: skip
        assert anew == original | {
            "id": one.reversal + 1, "key": -1, "rated_at": NOW + 1, "charge_micros": one.charge_micros,
            "billed_s": anew["billed_s"], "tariff": anew["tariff"], "destination": f"L {rate}",
        }  # fmt: skip
    for row in done.stored:
        told = dict(zip(STORED_COLUMNS, row, strict=True))
        assert {name: told[name] for name in WATCHED} == {name: fresh[row[0]][name] for name in WATCHED}


async def test_the_same_tariff_again_nets_to_zero_rows(desk: Desk) -> None:
    calls = [
        cdr_json(id=f"r{n}", duration=n * 7.25, called="+12125550143" if n % 3 else "+442079460018") for n in range(40)
    ]
    assert await desk.send(*calls) == (40, 0, 0)
    before = await desk.rows()
    assert await desk.price() == [None] * 40
    await desk.london("1.20", fee="0.20")  # other words of the same: only the version is newer
    await desk.tariff(*a_tariff_text().deck.splitlines()[1:], toml='rounding = "half-up"\n')
    assert await desk.price() == [None] * 40
    done = await desk.rerate()
    assert (done.run, done.stored, await desk.rows()) == (0, [], before)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("the price", "4420,London,,0,0.20,1.30,60,60/60"),
        ("the destination", "4420,Greater London,,0,0.20,1.20,60,60/60"),
        ("the billed seconds", "4420,London,,0,0.20,2.40,120,120/120"),
    ],
)
async def test_what_comes_out_otherwise_is_charged_again(desk: Desk, name: str, row: str) -> None:
    await desk.send(cdr_json(duration=110))
    await desk.tariff(row, HOME)
    done = await desk.rerate()
    if name == "the billed seconds":
        assert done.replaced == []  # 120 either way
    else:
        assert len(done.replaced) == 1
        assert await desk.price() == [None]


async def test_what_today_has_no_rate_stays_as_it_is(desk: Desk) -> None:
    await desk.send(cdr_json(id="r1"), cdr_json(id="r2", called="+12125550143"), cdr_json(id="r3", duration=0))
    await desk.tariff("1,United States,,0,0,0.12,60,6/6")
    no_rate, changed, unanswered = await desk.price()
    assert no_rate == "no-rate"
    assert isinstance(changed, Correction)
    assert isinstance(unanswered, Correction)  # it has no destination any more, and costs nothing as before
    assert (unanswered.destination, unanswered.charge_micros) == (None, 0)
    await desk.rerate()
    assert await desk.price() == ["no-rate", None, None]
    await desk.assert_counted()


async def test_a_record_that_is_sent_again_is_compared_with_what_was_reported(desk: Desk) -> None:
    await desk.send(cdr_json())
    await desk.london("0.60")
    await desk.rerate()
    for reopened in (False, True):
        if reopened:
            await desk.site.reopen()
        assert await desk.send(cdr_json()) == (0, 1, 0)
        assert await desk.send(cdr_json(duration=62 + reopened)) == (0, 0, 1)
    assert len(await desk.rows()) == 3
    accounted = (await desk.site.accounted())["pop-nyc"]
    assert (accounted["received"], accounted["stored"], accounted["duplicate"]) == (5, 1, 2)


async def test_what_was_reversed_in_the_meantime_is_passed_over(desk: Desk) -> None:
    await desk.send(cdr_json(id="r1"), cdr_json(id="r2"))
    await desk.london("0.60")
    corrections = [one for one in await desk.price() if isinstance(one, Correction)]
    first = await desk.write(corrections[0])
    again = await desk.write(*corrections, *corrections, run=Run("ada", "", "{}", first.run))
    assert (first.is_new, again.is_new, desk.begun) == (True, False, [1])
    assert (len(first.replaced), len(again.replaced), again.passed_over) == (1, 1, 1)
    last = await desk.write(*corrections)
    assert (last.run, last.stored, last.passed_over) == (0, [], 2)
    await desk.assert_counted()


async def test_nobody_charges_again_what_is_not_there_or_takes_a_charge_back(desk: Desk) -> None:
    await desk.send(cdr_json())
    await desk.london("0.60")
    (done,) = (await desk.rerate()).replaced
    wrong = [
        Correction(number, month, 1, 1, 1, None, None)
        for number, month in ((done.reversal, 202611), (99, 202611), (1, 209912))
    ]
    assert (await desk.write(*wrong)).passed_over == 3
    assert len(await desk.rows()) == 3


async def test_each_of_the_rows_names_the_others(desk: Desk) -> None:
    await desk.send(cdr_json(), cdr_json(id="r2", called="+12125550143"))
    for rate in ("0.60", "0.30"):
        await desk.london(rate)
        await desk.rerate()

    async def told(transaction: int) -> tuple[int | None, int | None, int | None, int | None, int] | None:
        links = await desk.links(transaction)
        return links and (links.reverses, links.replaces, links.reversed_by, links.replaced_by, links.run)

    assert [await told(number) for number in range(1, 7)] == [
        (None, None, 3, 4, 1),
        None,
        (1, None, None, 4, 1),
        (None, 1, 5, 6, 2),
        (4, None, None, 6, 2),
        (None, 4, None, None, 2),
    ]
    links = await desk.links(6)
    assert links is not None
    assert (links.by, links.reason, links.at) == ("ada", "a wrong deck", "2026-11-20T15:00:00.000001Z")
    assert (links.for_customer().by, links.for_customer().reason) == (None, None)


async def test_a_line_that_has_moved_keeps_its_calls_where_they_were(desk: Desk) -> None:
    await desk.send(cdr_json())
    row = "{},{},,USD,America/New_York,,{},,1"
    await desk.site.store.import_accounts(
        accounts_csv(row.format(ACCOUNT, "Ada", "cheap"), row.format(OTHER, "Bob", "standard")), NOW
    )
    await desk.site.store.import_lines(lines_csv(f"+{CALLING},{OTHER},Elsewhere,long-distance,,,"))
    await desk.site.import_tariff(a_tariff_text("cheap", "4420,London,,0,0,0.01,60,60/60"))
    await desk.follow()
    await desk.rerate()
    assert [
        (line["account"], line["provider"], line["tariff"], line["charge"]) for line in await desk.site.exported()
    ] == [
        (ACCOUNT, "Transcontinental", "standard", "2.6000"),
        (ACCOUNT, "Transcontinental", "standard", "-2.6000"),
        (ACCOUNT, "Transcontinental", "cheap", "0.0200"),
    ]
    await desk.assert_counted()


@pytest.mark.parametrize(
    ("scope", "chosen"),
    [
        (Scope(accounts=(ACCOUNT,)), {"london", "home", "october", "message"}),
        (Scope(accounts=(OTHER, ACCOUNT), destination="London"), {"london", "october", "other"}),
        (Scope(from_at=micros("2026-11-01T00:00:00Z")), {"london", "home", "other", "message"}),
        (Scope(to_at=micros("2026-11-01T00:00:00Z")), {"october"}),
        (Scope(from_at=micros("2026-10-31T23:59:58Z"), to_at=micros("2026-10-31T23:59:59Z")), {"october"}),
        (Scope(prefix="44207"), {"london", "october", "other"}),
        (Scope(prefix="44208"), set()),
        (Scope(tariff="standard"), {"london", "home", "october", "other", "message"}),
        (Scope(tariff="gold"), set()),
        (Scope(transaction=3), {"home"}),
    ],
)
async def test_only_what_is_asked_for_is_looked_at(desk: Desk, scope: Scope, chosen: set[str]) -> None:
    row = "{},{},,USD,America/New_York,,standard,,1"
    await desk.site.store.import_accounts(accounts_csv(row.format(ACCOUNT, "Ada"), row.format(OTHER, "Bob")), NOW)
    await desk.site.store.import_lines(
        lines_csv(
            *(
                f"+{line},{of},Transcontinental,long-distance,,,"
                for line, of in ((CALLING, ACCOUNT), (OTHER_LINE, OTHER))
            )
        )
    )
    await desk.site.import_tariff(a_tariff_text("gold"))
    await desk.follow()
    await desk.send(
        cdr_json(id="london"),
        cdr_json(id="home", called="+12125550143"),
        cdr_json(id="october", start="2026-10-31T23:59:58Z"),
        cdr_json(id="other", calling=f"+{OTHER_LINE}"),
        cdr_json(id="message", type="message", called="+12125550143", units=3),
    )

    def ids(cx: sqlite3.Connection) -> set[str]:
        return {row[2] for _, rows in reratable.read(cx, scope, last_id(cx)) for row in rows}

    assert await desk.site.store.read(ids) == chosen


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_is_charged_again_each_record_costs_its_latest_charge(desk: Desk, seed: int) -> None:
    """Any sequence of tariffs, restrictions, records in between, and restarts."""
    random = Random(seed)
    sent = 0

    def fresh() -> bytes:
        nonlocal sent
        sent += 1
        kind = {"type": "message", "units": random.randrange(1, 5)} if random.random() < 0.2 else {}
        return cdr_json(
            id=f"r{sent}",
            duration=random.choice((0, 61, 61.5, 1800)),
            called=random.choice(("+442079460018", "+12125550143")),
            start=random.choice(("2026-10-31T23:59:30-04:00", "2026-11-01T00:00:00-04:00", "2026-11-20T09:00:00Z")),
            **kind,
        )

    scopes: list[Callable[[], Scope]] = [
        lambda: EVERYTHING,
        lambda: Scope(destination="London"),
        lambda: Scope(transaction=random.randrange(1, desk.site.store.last_id + 1)),
        lambda: Scope(to_at=micros("2026-11-01T04:00:00Z")),
    ]
    await desk.send(*(fresh() for _ in range(30)))
    for _ in range(8):
        await desk.london(f"{random.randrange(1, 300) / 100:.2f}", increments=random.choice(("60/60", "1/1")))
        await desk.rerate(random.choice(scopes)())
        await desk.send(*(fresh() for _ in range(random.randrange(4))))
        if random.random() < 0.3:
            await desk.site.reopen()
        await desk.assert_counted()
    await desk.rerate()
    assert await desk.price() == [None] * sent
    totals: dict[str, list[Decimal | int]] = {}
    latest: dict[str, list[Decimal | int]] = {}
    for line in sorted(await desk.site.exported(), key=lambda line: line["transaction"]):
        seconds = bytes(line["duration"]).decode() if isinstance(line["duration"], msgspec.Raw) else line["duration"]
        figures = [Decimal(line["charge"]), Decimal(str(seconds)), line["billed_s"], line["units"] or 0]
        totals[line["id"]] = [a + b for a, b in zip(totals.get(line["id"], [0] * 4), figures, strict=True)]
        if line["reverses"] is None:
            latest[line["id"]] = figures
    assert totals == latest
    assert len(totals) == sent
