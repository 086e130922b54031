"""Feeds of one source report the same calls: the first complete record charges, the others are duplicates."""

from typing import Any

import pytest

from tests.builders import cdr_json
from tests.contract.store_site import Numbers, Site

START = "2026-11-20T09:07:31-05:00"
LATER = "2026-11-20T09:07:33-05:00"
MORE_THAN_A_DAY_BEFORE = "2026-11-19T09:07:30-05:00"


async def send(site: Site, feed: str | None, **fields: Any) -> Numbers:
    """One record by a feed."""
    batch = site.batch(cdr_json(**fields))
    batch.feed = feed
    (outcome,) = await site.commit(batch)
    return outcome.accepted, outcome.duplicate, outcome.suspended


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({"feed": "radius", "id": "r-1", "start": LATER, "session": "s"}, (0, 1, 0)),
        ({"feed": "radius", "id": "r-1", "start": START, "session": "s"}, (0, 1, 0)),
        ({"feed": "radius", "id": "r-1", "start": LATER, "session": "other"}, (1, 0, 0)),
        ({"feed": "radius", "id": "r-1", "start": LATER, "session": "s", "leg": "b"}, (1, 0, 0)),
        ({"feed": "radius", "id": "r-1", "start": LATER}, (1, 0, 0)),
        ({"feed": "radius", "id": "r-1", "start": MORE_THAN_A_DAY_BEFORE, "session": "s"}, (1, 0, 0)),
        ({"feed": "radius", "id": "r-1", "start": LATER, "session": "s", "partial": 1}, (1, 0, 0)),
        ({"feed": "radius", "id": "r-1", "start": LATER, "session": "s", "partial": 2, "last": True}, (0, 1, 0)),
        ({"feed": "json", "id": "j-2", "start": LATER, "session": "s"}, (1, 0, 0)),
        ({"feed": None, "id": "r-1", "start": LATER, "session": "s"}, (1, 0, 0)),
    ],
    ids=["another start", "the same start", "another session", "another leg", "no session", "of another day",
         "intermediate", "the last of intermediates", "the same feed", "a source with one feed"],
)  # fmt: skip
async def test_the_second_report_of_a_call(site: Site, second: dict[str, Any], expected: Numbers) -> None:
    assert await send(site, "json", id="j-1", start=START, session="s") == (1, 0, 0)
    assert await send(site, **second) == expected
    assert await send(site, **second) == (0, 1, 0)
    assert len(await site.exported()) == 1 + expected[0]


async def test_two_reports_in_one_commit_are_one_call(site: Site) -> None:
    json, radius = site.batch(cdr_json(id="j", session="s")), site.batch(cdr_json(id="r", start=LATER, session="s"))
    json.feed, radius.feed = "json", "radius"
    outcomes = await site.commit(json, radius)
    assert [(o.accepted, o.duplicate) for o in outcomes] == [(1, 0), (0, 1)]
    assert [line["id"] for line in await site.exported()] == ["j"]


async def test_what_was_suspended_does_not_charge_beside_the_other_report(site: Site) -> None:
    """Whoever recycles it later finds out (`test_recycling`); here the other report is not kept from charging."""
    assert await send(site, "json", id="j-1", start=START, session="s", calling="+19995550000") == (0, 0, 1)
    assert await send(site, "radius", id="r-1", start=LATER, session="s") == (1, 0, 0)
