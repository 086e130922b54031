"""In front of the seam: lines become transactions by month, or suspended records with the first reason that applies."""

import asyncio
import itertools
import json
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from mediation.formats import Unreadable
from mediation.formats.ndjson import parse_line
from mediation.pipeline import preparing
from mediation.pipeline.front import Front, content_of_cdr
from mediation.pipeline.gathering import Gathering
from mediation.pipeline.owner import StoreOwner
from mediation.pipeline.preparing import LINES_AT_ONCE, TURN_S, FrontHere
from mediation.pipeline.sender import Sender
from rating.account import Account, Line
from rating.cdr import CDR, MICROS
from rating.directory import Directory
from rating.store.batch import COLUMN, Batch, Row, Suspended, content_of
from rating.store.reading import cdr_of
from rating.store.suspense import digest_of_row
from rating.tariff import TariffText
from tests.builders import (
    ACCOUNT,
    CALLED,
    CALLING,
    NOW,
    START,
    a_directory,
    a_line,
    a_position,
    a_tariff_text,
    an_account,
    cdr_json,
    micros,
    raw,
)  # fmt: skip

OWNER = cast(StoreOwner, SimpleNamespace(gathering=Gathering()))
"""Is told what is prepared for it."""
DIRECTORY = a_directory()
SECOND = MICROS


def batch_of(*lines: bytes, directory: Directory = DIRECTORY, oldest_at: int = 0, now: int = NOW) -> Batch:
    maker = Front(directory, oldest_at).begin("pop-nyc", 7, now, None)
    maker.add(list(lines), parse_line)
    return maker.batch


def transaction(line: bytes, directory: Directory = DIRECTORY) -> dict[str, Any]:
    """The columns of the one transaction that a line became."""
    batch = batch_of(line, directory=directory)
    assert not batch.suspended, batch.suspended
    ((row,),) = batch.rows.values()
    return {name: row[index] for name, index in COLUMN.items()}


def suspended(line: bytes, **how: Any) -> Suspended:
    batch = batch_of(line, **how)
    assert not batch.rows
    (record,) = batch.suspended
    return record


def site(
    account: Account | None = None, line: Line | None = None, tariffs: list[TariffText] | None = None
) -> Directory:
    return a_directory([account or an_account()], [line or a_line()], tariffs)


def test_a_record_becomes_a_transaction_with_everything_in_its_column() -> None:
    line = cdr_json(answer="2026-11-20T09:07:35-05:00", service="long-distance", device="imei:1", place="Mayfair")
    columns = transaction(line)
    assert columns == columns | {
        "id": None,
        "source": 7,
        "record_id": "a81f-0001",
        "start_at": micros(START),
        "offset_min": -300,
        "answer_at": micros(START) + 4 * SECOND,
        "duration_us": 61 * SECOND,
        "calling": CALLING,
        "called": CALLED,
        "line": CALLING,
        "account": ACCOUNT,
        "provider": "Transcontinental",
        "service": "long-distance",
        "service_given": 1,
        "type": "direct",
        "units": None,
        "device": "imei:1",
        "destination": "London",
        "place_called": "Mayfair",
        "charge_micros": 2_600_000,
        "tariff": 1,
        "billed_s": 120,
        "arrived_at": NOW,
        "detail": '{"place":"Mayfair"}',
    }


def test_a_service_that_was_not_given_is_looked_up_and_marked() -> None:
    columns = transaction(cdr_json())
    assert (columns["service"], columns["service_given"], columns["detail"]) == ("long-distance", 0, None)


def test_the_paying_line_is_not_the_calling_one_where_the_type_says_so() -> None:
    directory = a_directory(lines=[a_line("18005550100", service="toll-free")])
    columns = transaction(cdr_json(called="+18005550100", type="toll-free", calling="+442079460018"), directory)
    assert (columns["line"], columns["calling"], columns["called"]) == ("18005550100", CALLED, "18005550100")
    assert columns["destination"] == "London"  # the rate is the calling number's


def test_rare_fields_are_kept_together_with_sorted_keys() -> None:
    line = cdr_json(zz=raw("2.0"), session="s", charge_to="+12125550199", cause=16, partial=1, last=True, aa=[{"b": 1}])
    assert transaction(line)["detail"] == (
        '{"cause":16,"charge_to":"12125550199","extra":{"aa":[{"b":1}],"zz":2},"last":true,"partial":1,"session":"s"}'
    )


class TestReasons:
    @pytest.mark.parametrize(
        ("ahead_us", "reason"), [(0, None), (600 * SECOND, None), (600 * SECOND + 1, "future"), (10**15, "future")]
    )
    def test_a_start_over_ten_minutes_ahead_is_in_the_future(self, ahead_us: int, reason: str | None) -> None:
        batch = batch_of(cdr_json(), now=micros(START) - ahead_us)
        assert [record.reason for record in batch.suspended] == ([reason] if reason else [])

    @pytest.mark.parametrize(
        ("start_ahead", "answer_ahead", "reason"),
        [
            (0, 600, None),
            (0, 601, None),
            (600, 86_400, None),
            (600, 86_401, "future"),
            (-86_400, 10**9, "future"),
            (601, 601, "future"),
        ],
    )
    def test_a_start_makes_the_future_and_an_answer_only_a_day_ahead(
        self, start_ahead: int, answer_ahead: int, reason: str | None
    ) -> None:
        start, answer = (
            datetime.fromtimestamp(NOW // SECOND + ahead, UTC).isoformat() for ahead in (start_ahead, answer_ahead)
        )
        batch = batch_of(cdr_json(start=start, answer=answer), now=NOW)
        assert [record.reason for record in batch.suspended] == ([reason] if reason else [])

    @pytest.mark.parametrize(
        ("start", "reason"),
        [
            ("2026-11-01T00:00:00Z", None),
            ("2026-10-31T23:59:59.999999Z", "too-old"),
            ("1969-12-31T23:59:59Z", "too-old"),
            ("1900-01-01T00:00:00Z", "too-old"),
        ],
    )
    def test_a_start_before_the_retention_is_too_old(self, start: str, reason: str | None) -> None:
        batch = batch_of(cdr_json(start=start), oldest_at=micros("2026-11-01T00:00:00Z"))
        assert [record.reason for record in batch.suspended] == ([reason] if reason else [])

    def test_without_retention_1970_is_the_oldest(self) -> None:
        assert list(batch_of(cdr_json(start="1970-01-01T00:00:00Z")).rows) == [197001]
        assert suspended(cdr_json(start="1969-12-31T23:59:59.999999Z")).reason == "too-old"

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"calling": "+19995550100"}, "the calling line 19995550100 at"),
            ({"type": "collect"}, f"the called line {CALLED} at"),
            ({"type": "toll-free"}, f"the called line {CALLED} at"),
            ({"type": "calling-card", "charge_to": "card:1"}, "the charge_to line card:1 at"),
            ({"type": "third-number"}, "is paid by charge_to, and has none"),
            ({"service": "fax"}, "with service fax"),
            ({"calling": "sip:ada@example.net"}, "the calling line sip:ada@example.net at"),
        ],
    )
    def test_a_line_that_nobody_had_is_unknown(self, fields: dict[str, Any], words: str) -> None:
        record = suspended(cdr_json(**fields))
        assert record.reason == "unknown-line"
        assert words in record.detail

    def test_a_line_is_unknown_before_its_account_has_it(self) -> None:
        directory = site(line=a_line(from_on="2026-11-21"))
        assert suspended(cdr_json(), directory=directory).reason == "unknown-line"

    @pytest.mark.parametrize(
        ("directory", "words"),
        [
            (DIRECTORY, "tariff standard has no rate for 81312345678"),
            (site(an_account(tariff=None)), "neither line 12125550142 nor account 4000012345 nor [rating]"),
            (site(an_account(tariff="gold")), "tariff gold is not in force"),
            (site(tariffs=[]), "tariff standard is not in force"),
            (site(tariffs=[a_tariff_text(toml='valid_from = "2026-11-21"')]), "tariff standard is not in force"),
        ],
    )
    def test_without_a_rate_an_answered_call_is_suspended(self, directory: Directory, words: str) -> None:
        record = suspended(cdr_json(called="+81312345678"), directory=directory)
        assert record.reason == "no-rate"
        assert words in record.detail

    @pytest.mark.parametrize("directory", [DIRECTORY, site(an_account(tariff=None)), site(tariffs=[])])
    def test_without_a_rate_an_unanswered_call_costs_nothing(self, directory: Directory) -> None:
        columns = transaction(cdr_json(called="+81312345678", duration=0, place="Tokyo"), directory)
        assert (columns["charge_micros"], columns["billed_s"], columns["destination"]) == (0, 0, None)
        assert columns["place_called"] == "Tokyo"

    def test_an_unanswered_call_with_a_rate_has_its_destination(self) -> None:
        columns = transaction(cdr_json(duration=0))
        assert (columns["charge_micros"], columns["destination"], columns["tariff"]) == (0, "London", 1)

    @pytest.mark.parametrize("duration", [0, 61])
    def test_a_message_is_charged_by_units_whatever_its_duration(self, duration: int) -> None:
        columns = transaction(cdr_json(called="+12125550199", type="message", units=7, duration=duration))
        assert (columns["charge_micros"], columns["billed_s"]) == (12_000, 12)

    def test_an_account_in_another_currency_than_its_tariff_needs_a_conversion(self) -> None:
        record = suspended(cdr_json(), directory=site(an_account(currency="EUR")))
        assert record.reason == "no-conversion"
        assert "tariff standard is in USD, account 4000012345 in EUR" in record.detail

    def test_a_charge_that_no_store_can_hold_is_suspended(self) -> None:
        directory = site(tariffs=[a_tariff_text("standard", ",World,,0,0,9999999999999,1,1/1")])
        assert suspended(cdr_json(), directory=directory).reason == "out-of-range"

    NOTHING = a_directory([], [], [])
    EURO = site(an_account(currency="EUR"))

    @pytest.mark.parametrize(
        ("reason", "line", "directory"),
        [
            ("malformed", cdr_json(start="2030-01-01T00:00:00Z", duration=-1), NOTHING),
            ("bad-number", cdr_json(start="2030-01-01T00:00:00Z", called="x"), NOTHING),
            ("bad-time", cdr_json(start="2030-01-01T00:00:00Z", answer="2029-01-01T00:00:00Z"), NOTHING),
            ("future", cdr_json(start="2030-01-01T00:00:00Z"), NOTHING),
            ("too-old", cdr_json(start="1960-01-01T00:00:00Z"), NOTHING),
            ("unknown-line", cdr_json(called="+81312345678"), NOTHING),
            ("unknown-line", cdr_json(calling="+19995550100"), EURO),
        ],
    )
    def test_of_several_reasons_the_first_of_the_contract_applies(
        self, reason: str, line: bytes, directory: Directory
    ) -> None:
        assert suspended(line, directory=directory).reason == reason

    @pytest.mark.parametrize(
        ("start", "answer"),
        [
            ("0001-01-01T00:00:00+23:59", None),
            ("9999-12-31T23:59:59-23:59", None),
            (START, "9999-12-31T23:59:59-23:59"),
            (START, "9999-12-31T23:59:59Z"),
        ],
    )
    def test_an_instant_at_the_ends_of_time_becomes_no_transaction(self, start: str, answer: str | None) -> None:
        """Nothing behind the seam could say which month it is in, or count it in a period."""
        assert suspended(cdr_json(start=start, answer=answer)).reason in ("bad-time", "future", "too-old")


class TestKnownAgain:
    """What a record said is compared the same way, whether it became a transaction or went into suspense."""

    RECORDS = (
        cdr_json(),
        cdr_json(service="long-distance"),
        cdr_json(type="message", units=3, device="d", charge_to="+12125550199", cause=16, last=False, zz=[1]),
        cdr_json(answer="2026-11-20T09:07:35-05:00", duration=raw("0.000001")),
    )

    @pytest.mark.parametrize("line", RECORDS)
    def test_a_suspended_record_has_the_content_and_the_digest_of_its_transaction(self, line: bytes) -> None:
        ((row,),) = batch_of(
            line, directory=site(tariffs=[a_tariff_text("standard", ",World,,0,0,1,1,1/1")])
        ).rows.values()
        record = suspended(line, directory=a_directory([], []))
        assert record.content == content_of(row)
        assert record.digest == digest_of_row(row)
        assert (record.record_id, record.start_at) == ("a81f-0001", micros(START))

    @pytest.mark.parametrize("line", RECORDS)
    def test_the_cdr_of_a_transaction_is_the_one_it_was_made_from(self, line: bytes) -> None:
        directory = site(tariffs=[a_tariff_text("standard", ",World,,0,0,1,1,1/1")])
        ((row,),) = batch_of(line, directory=directory).rows.values()
        assert cdr_of(row, "pop-nyc") == parse_line(line, "pop-nyc")

    @pytest.mark.parametrize(
        "number", ["61.5", "0.1", "1e100", "1e308", "1e400", "-1e-400", "1e9999", "123456789012345678901234567890",
                   "0.1000000000000000055511151231257827", "9007199254740993.5"]
    )  # fmt: skip
    def test_a_number_that_was_kept_is_read_again_as_it_came(self, number: str) -> None:
        batch = batch_of(cdr_json(x=raw(number)))
        for rows in batch.rows.values():  # or it was refused as malformed
            (row,) = rows
            again = content_of_cdr(cdr_of(row, "pop-nyc"))[-1]
            assert json.loads(again, parse_float=Decimal, parse_int=Decimal) == {"extra": {"x": Decimal(number)}}

    def test_a_refused_line_has_no_content_but_its_key(self) -> None:
        record = suspended(cdr_json(duration=-1))
        assert (record.content, record.record_id, record.start_at) == (None, "a81f-0001", micros(START))


class TestLines:
    LINES = (
        cdr_json(id="1"),
        b"",
        cdr_json(id="3", calling="+19995550100"),
        b" \t ",
        b"x",
        cdr_json(id="6", start="2026-10-31T23:59:59.999999Z"),
        cdr_json(id="7", start="2026-11-01T00:00:00Z"),
        cdr_json(id="8", start="2026-10-31T20:00:00-04:00"),  # the same instant
        b"\r",
        cdr_json(id="10", start="2026-10-01T00:00:00Z"),
    )

    @staticmethod
    def places(batch: Batch) -> dict[int, list[tuple[int, str]]]:
        def named(row: Row) -> str:
            return cast(str, row[COLUMN["record_id"]])

        return {
            month: [*zip(batch.row_lines[month], map(named, rows), strict=True)] for month, rows in batch.rows.items()
        }

    def test_rows_stand_in_the_month_of_their_start_in_utc_with_the_lines_they_came_from(self) -> None:
        batch = batch_of(*self.LINES)
        assert self.places(batch) == {202611: [(1, "1"), (7, "7"), (8, "8")], 202610: [(6, "6"), (10, "10")]}
        assert [(record.line, record.reason) for record in batch.suspended] == [(3, "unknown-line"), (5, "malformed")]

    def test_blank_lines_do_not_count_but_have_their_number(self) -> None:
        batch = batch_of(*self.LINES)
        assert batch.received == 7
        assert [batch.raw[record.line - 1] for record in batch.suspended] == [self.LINES[2], b"x"]

    def test_a_batch_made_in_pieces_is_the_same_batch(self) -> None:
        whole = batch_of(*self.LINES)
        maker = Front(DIRECTORY).begin("pop-nyc", 7, NOW, None)
        for line in self.LINES:
            maker.add([line], parse_line)
        assert msgspec.structs.astuple(maker.batch) == msgspec.structs.astuple(whole)

    def test_a_batch_is_rated_by_the_directory_that_it_began_with(self) -> None:
        front = Front(a_directory([], []))
        maker = front.begin("pop-nyc", 7, NOW, None)
        front.directory = DIRECTORY
        maker.add([cdr_json()], parse_line)
        assert [record.reason for record in maker.batch.suspended] == ["unknown-line"]

    LONG = (cdr_json(id="1"), b"", cdr_json(id="3", duration=10**9), b"x", cdr_json(id="5", duration=10**9))

    def test_who_may_stop_stops_after_a_record_that_takes_long_and_goes_on_from_there(self) -> None:
        maker = Front(DIRECTORY).begin("pop-nyc", 7, NOW, None)
        assert maker.add(list(self.LONG), parse_line, may_stop=True) == 3
        assert maker.batch.raw == [*self.LONG[:3]]
        assert maker.add(list(self.LONG[3:]), parse_line, may_stop=True) == 2
        whole = Front(DIRECTORY).begin("pop-nyc", 7, NOW, None)
        assert whole.add(list(self.LONG), parse_line) == 5
        assert msgspec.structs.astuple(maker.batch) == msgspec.structs.astuple(whole.batch)

    def test_another_format_may_be_given(self) -> None:
        def parse(line: bytes, source: str) -> CDR:
            return msgspec.structs.replace(cast(CDR, parse_line(cdr_json(), source)), id=line.decode())

        maker = Front(DIRECTORY).begin("pop-nyc", 7, NOW, None)
        maker.add([b"a", b"b"], parse)
        assert self.places(maker.batch) == {202611: [(1, "a"), (2, "b")]}


class TestSender:
    """A delivery's lines reach the front without their ends, some milliseconds at a time."""

    @staticmethod
    async def prepared(body: bytes) -> Batch:
        sender = Sender("pop-nyc", 7, FrontHere(Front(DIRECTORY)), OWNER, lambda: NOW)
        return await sender.prepare(body.split(b"\n"), a_position(3))

    async def test_deliveries_are_prepared_one_in_each_turn_of_the_loop(self) -> None:
        began: list[int] = []
        loop, turn = asyncio.get_running_loop(), 0

        def next_turn() -> None:
            nonlocal turn, waiting
            turn += 1
            waiting = loop.call_soon(next_turn)

        def parse(line: bytes, source: str) -> CDR | Unreadable:
            began.append(turn)
            return parse_line(line, source)

        waiting = loop.call_soon(next_turn)
        sender = Sender("pop-nyc", 7, FrontHere(Front(DIRECTORY), lambda _name, _source: parse), OWNER, lambda: NOW)
        await asyncio.gather(*(sender.prepare([cdr_json(id=str(n))], None) for n in range(5)))
        waiting.cancel()
        assert len(began) == len(set(began)) == 5

    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    @pytest.mark.parametrize("last", [True, False])
    async def test_lines_end_in_lf_or_crlf(self, end: bytes, last: bool) -> None:
        body = end.join([cdr_json(id="1"), b"", b"x", cdr_json(id="4")]) + (end if last else b"")
        batch = await self.prepared(body)
        assert batch.received == 3
        assert batch.row_lines == {202611: [1, 4]}
        assert [(record.line, batch.raw[record.line - 1]) for record in batch.suspended] == [(3, b"x")]

    async def test_a_batch_has_its_source_time_and_position(self) -> None:
        batch = await self.prepared(cdr_json())
        assert (batch.source, batch.arrived_at, batch.position) == (7, NOW, a_position(3))

    @pytest.mark.parametrize("lines", [0, 1, LINES_AT_ONCE, LINES_AT_ONCE + 1, 2 * LINES_AT_ONCE + 1])
    async def test_a_large_delivery_keeps_its_line_numbers(self, lines: int) -> None:
        batch = await self.prepared(b"\n".join(cdr_json(id=str(number)) for number in range(1, lines + 1)))
        assert batch.received == lines
        assert batch.row_lines.get(202611, []) == [*range(1, lines + 1)]
        rows = batch.rows.get(202611, [])
        assert [row[COLUMN["record_id"]] for row in rows] == [str(number) for number in range(1, lines + 1)]

    @pytest.mark.parametrize(
        ("lines", "line", "a_look_s", "turns"),
        [
            (1_000, cdr_json(), 0.0, 1),
            (1_000, cdr_json(duration=10**9), 0.0, 1),
            (10 * LINES_AT_ONCE, cdr_json(), 2 * TURN_S, 10),
            (40, cdr_json(duration=10**9), 2 * TURN_S, 40),
        ],
        ids=["quick", "quick though they might not be", "slow", "each as long as many"],
    )
    async def test_the_others_get_their_turn_when_a_delivery_takes_long(
        self, monkeypatch: pytest.MonkeyPatch, lines: int, line: bytes, a_look_s: float, turns: int
    ) -> None:
        """By a clock that goes on a little whenever somebody looks at it."""
        looks = itertools.count()
        monkeypatch.setattr(preparing, "time", SimpleNamespace(perf_counter=lambda: next(looks) * a_look_s))
        loop, taken = asyncio.get_running_loop(), 0

        def take_turn() -> None:
            nonlocal taken, next_turn
            taken += 1
            next_turn = loop.call_soon(take_turn)

        next_turn = loop.call_soon(take_turn)
        batch = await self.prepared(b"\n".join([line] * lines))
        next_turn.cancel()
        assert (batch.received, taken) == (lines, turns)
