"""What has been rated lately, across all accounts: which transactions are looked at, and what is summed of them."""

import pytest

from rating.cdr import MICROS
from rating.store import lately as module
from rating.store.lately import WINDOW_US, Lately, lately
from rating.store.rerating import Correction, Run
from tests.builders import NOW, START, a_tariff_text, cdr_json, raw
from tests.contract.store_site import Site

OCTOBER = "2026-10-31T12:00:00-04:00"
LONDON, STATES = 2_600_000, 36_000
"""Charges of 61 s to London, and to Boston at 0.06 a minute in steps of 6 s up to 36 s."""
BOSTON = "+16175550123"


async def looked(site: Site, now: int = NOW, shown: int = 12) -> Lately:
    return await site.store.read(lately, now, shown)


def ids(found: Lately) -> list[str]:
    return [row["id"] for row in found.last]


async def test_before_the_first_transaction_there_is_nothing(site: Site) -> None:
    assert await looked(site) == Lately(NOW - WINDOW_US)


async def test_the_last_minute_is_summed_over_all_months(site: Site) -> None:
    await site.send(
        cdr_json(id="london"),
        cdr_json(id="october", start=OCTOBER),
        cdr_json(id="boston", called=BOSTON, duration=31),
        cdr_json(id="unanswered", duration=0),
    )
    found = await looked(site)
    assert (found.calls, found.answered, found.duration_us) == (4, 3, (61 + 61 + 31) * MICROS)
    assert found.charges == {"USD": 2 * LONDON + STATES}
    assert found.destinations == [("London", 3, 2 * LONDON), ("United States", 1, STATES)]
    assert found.answer_seizure_ratio == 0.75
    assert found.average_duration_us == 51 * MICROS
    assert found.since_at == NOW - WINDOW_US


async def test_what_came_before_the_window_is_shown_and_not_summed(site: Site) -> None:
    await site.send(cdr_json(id="old"), arrived_at=NOW - WINDOW_US - 1)
    await site.send(cdr_json(id="first of all"), arrived_at=NOW - WINDOW_US)
    found = await looked(site)
    assert (found.calls, found.charges) == (1, {"USD": LONDON})
    assert ids(found) == ["first of all", "old"]


async def test_without_calls_there_is_no_ratio(site: Site) -> None:
    await site.send(cdr_json(), arrived_at=NOW - 2 * WINDOW_US)
    found = await looked(site)
    assert (found.calls, found.answer_seizure_ratio, found.average_duration_us) == (0, None, None)


async def test_a_call_without_a_tariff_counts_and_is_charged_in_no_currency(site: Site) -> None:
    await site.send(cdr_json(called="+8835100012345", duration=0))
    found = await looked(site)
    assert (found.calls, found.charges, found.destinations) == (1, {"USD": 0}, [])


async def test_charging_again_is_no_call(site: Site) -> None:
    await site.send(cdr_json(id="call"))
    await site.store.rerate(
        [Correction(1, 202611, 100, 1, 60, "London", None)],
        Run("ada", "", "{}"),
        NOW,
        lambda _, __: None,
        lambda _, __: None,
    )
    found = await looked(site)
    assert (found.calls, found.charges) == (1, {"USD": LONDON})
    assert ids(found) == ["call"]


@pytest.mark.parametrize(("shown", "expected"), [(1, ["c"]), (3, ["c", "b", "a"]), (9, ["c", "b", "a", "z"])])
async def test_the_newest_are_shown_first_whatever_their_month(site: Site, shown: int, expected: list[str]) -> None:
    for record_id, start in (("z", START), ("a", START), ("b", OCTOBER), ("c", START)):
        await site.send(cdr_json(id=record_id, start=start))
    found = await looked(site, shown=shown)
    assert ids(found) == expected
    assert found.last[0]["charge"] == "2.6000"


async def test_a_part_of_a_second_stays_exact(site: Site) -> None:
    await site.send(cdr_json(duration=raw("61.25")))
    (row,) = (await looked(site)).last
    assert bytes(row["duration"]) == b"61.25"


async def test_of_too_many_the_newest_are_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    await site.send(cdr_json(id="old"), arrived_at=NOW - 30 * MICROS)
    await site.send(cdr_json(id="b", start=OCTOBER), arrived_at=NOW - 20 * MICROS)
    await site.send(cdr_json(id="c"), arrived_at=NOW - 10 * MICROS)
    found = await looked(site)
    assert (found.calls, found.charges, ids(found)) == (2, {"USD": 2 * LONDON}, ["c", "b"])
    assert found.since_at == NOW - 20 * MICROS


async def test_five_destinations_are_named_those_with_the_greatest_charges(site: Site) -> None:
    prefixes = ["1", "33", "34", "39", "44", "49"]
    rows = [f"{prefix},To {prefix},,0,0,0.{index}0,60,60/60" for index, prefix in enumerate(prefixes, 1)]
    await site.import_tariff(a_tariff_text("standard", *rows, toml='valid_from = "2026-01-01"\n'))
    await site.follow()
    await site.send(*(cdr_json(id=prefix, called=f"+{prefix}2079460018", duration=60) for prefix in prefixes))
    found = await looked(site)
    assert found.destinations == [
        (f"To {prefix}", 1, index * 100_000) for index, prefix in list(enumerate(prefixes, 1))[:0:-1]
    ]
