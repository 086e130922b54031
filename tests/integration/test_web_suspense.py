"""The suspense pages in the hands of staff: without script, on a real store."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from rating.store import suspense
from tests.builders import cdr_json
from tests.integration.web_site import ADAS_LINE, STRANGER, Visitor, WebSite, opened


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        yield site


@pytest.fixture
async def stella(web: WebSite) -> Visitor:
    """Staff."""
    return await web.visitor("stella")


async def states(web: WebSite) -> list[str]:
    """Of every record: its state, or its reason while it is open."""
    found = await web.store.read(suspense.select, suspense.Filter(state=None), 0, 1 << 60, 1 << 60)
    return [record.reason if record.state == "open" else record.state for record in found]


def seen(page: str) -> str:
    """What a page says, without its marks."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def value_of(page: str, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}"[^>]*? value="([^"]*)"', page)
    assert found, f"no input {name}"
    return unescape(found[1])


UNKNOWN, NO_RATE, MALFORMED = "unknown-line", "no-rate", "malformed"
AT_FIRST = [UNKNOWN, UNKNOWN, NO_RATE, MALFORMED, MALFORMED]


async def test_open_records_are_counted_by_reason_and_the_reason_is_in_words(stella: Visitor) -> None:
    page = await stella.get("/suspense")
    said = seen(page)
    assert "5 records wait" in said
    assert "unknown-line no account has the line that pays 2" in said
    assert 'href="/suspense?reason=unknown-line"' in page


async def test_a_reason_leads_to_its_records_as_they_were_understood(stella: Visitor) -> None:
    said = seen(await stella.get("/suspense?reason=unknown-line"))
    assert "2 records are open" in said
    assert "pop-nyc s-1 20 Nov 2026 14:07:31 +19995550100 +442079460018 no account had the calling line" in said
    assert "s-3" not in said
    assert "s-5" not in seen(await stella.get("/suspense?reason=malformed"))


@pytest.mark.parametrize("path", ["/suspense?reason=unheard-of", "/suspense?reason=", "/suspense/99", "/suspense/x"])
async def test_what_is_not_there_is_not_found(stella: Visitor, path: str) -> None:
    await stella.get(path, status=404)


async def test_an_unknown_source_is_refused_in_words(stella: Visitor) -> None:
    page = await stella.get("/suspense?reason=unknown-line&source=pop-lxa", status=422)
    assert "there is no source pop-lxa" in seen(page)
    assert "came from pop-lax. Clear the filter" in seen(await stella.get("/suspense?reason=no-rate&source=pop-lax"))


async def test_long_lists_go_on_by_key(web: WebSite, stella: Visitor) -> None:
    await web.receive(*(cdr_json(id=f"more-{n}", calling=STRANGER) for n in range(60)))
    first = await stella.get("/suspense?reason=unknown-line")
    onwards = re.search(r'rel="next" href="([^"]+)"', first)
    assert onwards
    second = await stella.get(unescape(onwards[1]))
    ids = [re.findall(r'name="id" value="(\d+)"', page) for page in (first, second)]
    assert (len(ids[0]), len(ids[1])) == (50, 12)
    assert len({*ids[0], *ids[1]}) == 62
    assert 'rel="next"' not in second


async def test_chosen_records_are_recycled_and_counted_before_and_after(web: WebSite, stella: Visitor) -> None:
    await web.import_stranger()
    page = await stella.follow(await stella.post("/suspense/recycle", ("id", "1"), reason=UNKNOWN))
    assert "1 record is a transaction now" in seen(page)
    assert "2 before, 1 after" in seen(page)
    assert await states(web) == ["recycled", *AT_FIRST[1:]]


async def test_all_of_a_reason_are_recycled(web: WebSite, stella: Visitor) -> None:
    await web.import_stranger()
    page = await stella.follow(await stella.post("/suspense/recycle", reason=UNKNOWN, all="yes"))
    assert "2 records are transactions now" in seen(page)
    assert "No record is open for this reason" in seen(page)
    assert await states(web) == ["recycled", "recycled", *AT_FIRST[2:]]
    shown = await stella.get("/suspense/1")
    assert "recycled" in seen(shown)
    transaction = re.search(r'href="/transactions/(\d+)"', shown)
    assert transaction
    assert "s-1" in seen(await stella.get(f"/transactions/{transaction[1]}"))
    assert "stella recycled" in seen(shown)


async def test_what_is_still_open_after_recycling_is_said(web: WebSite, stella: Visitor) -> None:
    page = await stella.follow(await stella.post("/suspense/recycle", ("id", "1"), ("id", "3"), reason=UNKNOWN))
    assert "2 are still open (no-rate 1, unknown-line 1)" in seen(page)
    assert "2 before, 2 after" in seen(page)
    assert await states(web) == AT_FIRST


async def test_records_are_discarded_with_a_remark_only(web: WebSite, stella: Visitor) -> None:
    answer = await stella.post("/suspense/discard", ("id", "1"), ("id", "2"), reason=UNKNOWN, remark=" ")
    assert answer.status == 200
    page = await answer.text()
    assert "not discarded without a remark" in seen(page)
    assert len(re.findall(r'name="id" value="\d+"[^>]* checked', page)) == 2
    assert await states(web) == AT_FIRST
    answer = await stella.post("/suspense/discard", ("id", "1"), ("id", "2"), reason=UNKNOWN, remark="test calls")
    page = await stella.follow(answer)
    assert "Discarded 2 records" in seen(page)
    assert "2 before, 0 after" in seen(page)
    assert await states(web) == ["discarded", "discarded", *AT_FIRST[2:]]
    assert "stella discarded test calls" in seen(await stella.get("/suspense/2"))


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("/suspense/recycle", {}, "no record is chosen"),
        ("/suspense/recycle", {"id": "1", "remark": "wrong"}, "a remark is for discarding"),
        ("/suspense/recycle", {"all": "yes", "remark": "wrong"}, "a remark is for discarding"),
        ("/suspense/discard", {"remark": "why"}, "no record is chosen"),
        ("/suspense/map", {"map_field": "calling", "map_old": "", "map_new": "+1"}, "give the number"),
        ("/suspense/map", {"map_field": "calling", "map_old": STRANGER, "map_new": "nobody"}, "bad-number"),
    ],
)
async def test_forms_that_say_too_little_are_shown_again(
    web: WebSite, stella: Visitor, path: str, fields: dict[str, str], words: str
) -> None:
    answer = await stella.post(path, reason=UNKNOWN, **fields)
    page = await answer.text()
    assert answer.status == 200, page
    assert words in seen(page)
    for name in ("map_old", "map_new", "remark"):
        assert value_of(page, name) == fields.get(name, "")
    assert await states(web) == AT_FIRST


async def test_a_number_is_mapped_in_all_records_of_the_reason_and_they_are_recycled(
    web: WebSite, stella: Visitor
) -> None:
    answer = await stella.post(
        "/suspense/map", reason=UNKNOWN, map_field="calling", map_old="19995550100", map_new=ADAS_LINE,
        then_recycle="yes",
    )  # fmt: skip
    said = seen(await stella.follow(answer))
    assert "Mended 2 records" in said
    assert "2 records are transactions now" in said
    assert "2 before, 0 after" in said
    assert await states(web) == ["recycled", "recycled", *AT_FIRST[2:]]


async def test_a_record_is_shown_as_it_came_beside_what_was_understood(stella: Visitor) -> None:
    page = await stella.get("/suspense/3")
    assert "&#34;trunk_group&#34;:7" in page
    said = seen(page)
    assert "no rate holds for the called number" in said
    assert "called +8835100012345 ✕ wrong" in said
    assert said.count("✕ wrong") == 1
    assert "Nobody has worked on it yet" in said


async def test_a_line_of_any_bytes_is_shown_and_harms_nobody(stella: Visitor) -> None:
    for path in ("/suspense/5", "/suspense?reason=malformed"):
        page = await stella.get(path)
        assert "<script>alert" not in page
    assert r"<pre>\xff&lt;script&gt;alert(1)&lt;/script&gt;</pre>" in await stella.get("/suspense/5")


async def form_of(visitor: Visitor, number: int) -> dict[str, str]:
    """A record's form as it is shown."""
    page = await visitor.get(f"/suspense/{number}")
    names = re.findall(r'name="(field\.[^"]+|seen)"', page)
    return {name: value_of(page, name) for name in names}


async def test_a_record_is_mended_and_recycled(web: WebSite, stella: Visitor) -> None:
    form = await form_of(stella, 4)
    assert form["field.duration"] == ""
    answer = await stella.post("/suspense/4/mend", **(form | {"field.duration": "61", "then_recycle": "yes"}))
    said = seen(await stella.follow(answer))
    assert "Mended 1 record" in said
    assert "1 record is a transaction now" in said
    assert "stella mended duration=61" in said
    assert "As it was mended" in said
    assert (await states(web))[3] == "recycled"


async def test_a_record_may_be_mended_and_wait(web: WebSite, stella: Visitor) -> None:
    form = await form_of(stella, 1)
    answer = await stella.post("/suspense/1/mend", **(form | {"field.calling": ADAS_LINE}))
    assert "Recycled:" not in seen(await stella.follow(answer))
    assert await states(web) == AT_FIRST
    await stella.follow(await stella.post("/suspense/1/recycle"))
    assert await states(web) == ["recycled", *AT_FIRST[1:]]


async def test_a_mend_that_cannot_be_read_keeps_what_was_typed(web: WebSite, stella: Visitor) -> None:
    form = await form_of(stella, 1)
    answer = await stella.post("/suspense/1/mend", **(form | {"field.calling": "0800-x", "field.called": "+4420"}))
    page = await answer.text()
    assert answer.status == 200
    assert value_of(page, "field.calling") == "0800-x"
    assert value_of(page, "field.called") == "+4420"
    field = re.search(r'<input[^>]*name="field.calling"[^>]*>', page)
    assert field
    assert 'aria-invalid="true"' in field[0]
    assert "bad-number: calling '0800-x' is not E.164" in seen(page)
    assert await states(web) == AT_FIRST


async def test_what_somebody_else_did_meanwhile_is_not_undone(web: WebSite, stella: Visitor) -> None:
    form = await form_of(stella, 1)
    await stella.post("/suspense/1/mend", **(form | {"field.calling": ADAS_LINE}))
    answer = await stella.post("/suspense/1/mend", **(form | {"field.called": "+442079460019"}))
    assert answer.status == 200
    assert "somebody has changed the record since" in seen(await answer.text())
    await stella.post("/suspense/1/discard", remark="x")
    answer = await stella.post("/suspense/1/mend", **form)
    assert "the record is discarded now" in seen(await answer.text())


async def test_a_line_without_fields_is_replaced_whole(web: WebSite, stella: Visitor) -> None:
    page = await stella.get("/suspense/5")
    assert "Give the whole line instead" in seen(page)
    form = {"seen": value_of(page, "seen"), "then_recycle": "yes"}
    answer = await stella.post("/suspense/5/line", **form, line="{}")
    assert answer.status == 200
    assert "id is missing" in seen(await answer.text())
    line = '{"id":"s-5","calling":"+12125550142","called":"+442079460018","start":"2026-11-20T09:07:31Z","duration":1}'
    assert "1 record is a transaction now" in seen(
        await stella.follow(await stella.post("/suspense/5/line", **form, line=line))
    )
    assert (await states(web))[4] == "recycled"


async def test_a_record_is_discarded_with_a_remark_only(web: WebSite, stella: Visitor) -> None:
    answer = await stella.post("/suspense/3/discard", remark="")
    assert answer.status == 200
    assert "not discarded without a remark" in seen(await answer.text())
    page = await stella.follow(await stella.post("/suspense/3/discard", remark="a test"))
    assert "Left out for good: a test." in seen(page)
    assert 'name="field.called"' not in page


@pytest.mark.parametrize("name", ["ada", "olga", "agnes", "axel"])
async def test_suspense_is_for_staff(web: WebSite, name: str) -> None:
    visitor = await web.visitor(name)
    for path in ("/suspense", "/suspense?reason=unknown-line", "/suspense/1"):
        await visitor.get(path, status=404)
    for path in ("/suspense/recycle", "/suspense/discard", "/suspense/map", "/suspense/1/mend", "/suspense/1/line"):
        assert (await visitor.post(path, reason=UNKNOWN, all="yes", id="1", remark="x")).status == 404
    assert await states(web) == AT_FIRST


@pytest.mark.parametrize("path", ["recycle", "discard", "map", "1/mend", "1/line", "1/recycle", "1/discard"])
async def test_a_form_of_another_site_changes_nothing(web: WebSite, stella: Visitor, path: str) -> None:
    stella.csrf = "forged"
    answer = await stella.post(f"/suspense/{path}", reason=UNKNOWN, all="yes", id="1", remark="x")
    assert answer.status == 403
    assert await states(web) == AT_FIRST


async def test_nothing_in_suspense_is_said(web: WebSite, stella: Visitor) -> None:
    for reason in (UNKNOWN, NO_RATE, MALFORMED):
        ids = [("id", str(n)) for n in range(1, 6)]
        await stella.post("/suspense/discard", *ids, reason=reason, remark="all of them")
    assert "Nothing is in suspense" in seen(await stella.get("/suspense"))


async def test_while_the_daemon_stops_nothing_is_lost(web: WebSite, stella: Visitor) -> None:
    web.owner.stop()
    answer = await stella.post("/suspense/recycle", reason=UNKNOWN, all="yes")
    assert answer.status == 503
    assert "stays in suspense" in seen(await answer.text())
    assert await states(web) == AT_FIRST
