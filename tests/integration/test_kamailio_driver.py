"""The driver kamailio against a small JSON-RPC server that answers as Kamailio 5.6 does, and as it should not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from access.barring import Holding, Outcome
from access.drivers.kamailio import FEW, KamailioBarring
from access.drivers.rpc_commands import TemplateError, rpc_commands
from access.target import Target

NUMBER = "+12125550142"
TARGET = Target("kam1", "12125550142", "long-distance")
VOICE_MAIL = Target("kam1", "12125550142", "voice-mail")
SILENT = "silent"


class FakeKamailio:
    """As much of Kamailio's JSON-RPC as barring takes: the faults have its codes and words."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {}
        self.calls: dict[int, dict[str, Any]] = {}
        self.requests: list[tuple[str, list[Any]]] = []
        self.instead: dict[str, Any] = {}
        """By method: what comes instead of its answer; SILENT: nothing."""
        self.hung = asyncio.Event()

    def call_up(self, number: str, state: int) -> None:
        h_id = len(self.calls) + 1
        self.calls[h_id] = {
            "h_entry": 7, "h_id": h_id, "call-id": f"call-{h_id}", "from_uri": f"sip:{number}@pop1.test",
            "state": state,
            "caller": {"tag": "t", "cseq": "42"},
        }  # fmt: skip

    async def answer(self, request: web.Request) -> web.StreamResponse:
        message = await request.json()
        method, parameters = message["method"], message["params"]
        self.requests.append((method, parameters))
        instead = self.instead.get(method)
        if instead == SILENT:
            await self.hung.wait()
        if isinstance(instead, bytes):
            return web.Response(body=instead)
        said = instead or getattr(self, method.replace(".", "_"))(*parameters)
        return web.json_response(
            {"jsonrpc": "2.0", **said, "id": message["id"]}, status=200 if "result" in said else 500
        )

    def htable_get(self, table: str, key: str) -> dict[str, Any]:
        if table != "bar":
            return fault(500, "No such htable")
        if key not in self.table:
            return fault(500, "Key name doesn't exist in htable.")
        return {"result": {"item": {"name": key, "value": self.table[key], "flags": 2, "expire": "NEVER"}}}

    def htable_sets(self, _: str, key: str, value: str) -> dict[str, Any]:
        self.table[key] = value
        return {"result": "Ok. Key set to new value."}

    def htable_delete(self, _: str, key: str) -> dict[str, Any]:
        if self.table.pop(key, None) is None:
            return fault(404, "Key not found in htable.")
        return {"result": "Ok. Key deleted."}

    def htable_dump(self, table: str) -> dict[str, Any]:
        if table != "bar":
            return fault(500, "No such htable")
        entries = [{"name": key, "value": value, "type": "str"} for key, value in self.table.items()]
        slots = [entries[at : at + 3] for at in range(0, len(entries), 3)]
        return {"result": [{"entry": n, "size": len(slot), "slot": slot} for n, slot in enumerate(slots)]}

    def dlg_list_match(self, what: str, how: str, value: str, _: int) -> dict[str, Any]:
        assert (what, how) == ("furi", "sw")
        found = [call for call in self.calls.values() if call["from_uri"].startswith(value)]
        return {"result": found} if found else fault(404, "Not found")

    def dlg_end_dlg(self, _: int, h_id: int) -> dict[str, Any]:
        if h_id not in self.calls:
            return fault(404, "Dialog not found")
        if self.calls[h_id]["state"] > 2:  # for one that rings it says so too, and does nothing
            del self.calls[h_id]
        return {"result": {}}

    def tm_cancel(self, callid: str, cseq: str) -> dict[str, Any]:
        found = [h_id for h_id, call in self.calls.items() if call["call-id"] == callid and cseq == "42"]
        for h_id in found:
            del self.calls[h_id]
        return {"result": {}} if found else fault(400, "Transaction not found")


def fault(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


@pytest.fixture
async def kamailio() -> FakeKamailio:
    return FakeKamailio()


@pytest.fixture
async def server(kamailio: FakeKamailio) -> AsyncIterator[TestServer]:
    application = web.Application()
    application.router.add_post("/RPC", kamailio.answer)
    async with TestServer(application) as server:
        yield server
        kamailio.hung.set()


@pytest.fixture
async def driver(server: TestServer) -> AsyncIterator[KamailioBarring]:
    driver = KamailioBarring(str(server.make_url("/RPC")), timeout_s=0.5)
    yield driver
    await driver.close()


async def test_a_bar_sets_the_number_ends_its_calls_and_no_others(
    kamailio: FakeKamailio, driver: KamailioBarring
) -> None:
    for number, state in ((NUMBER, 4), (NUMBER, 3), (NUMBER, 2), (NUMBER, 1), (NUMBER + "0", 4), ("+1212555014", 4)):
        kamailio.call_up(number, state)
    answer = await driver.bar(TARGET, "over the limit")
    assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, "barred, 4 calls told to end")
    assert kamailio.table == {NUMBER: "over the limit [long-distance]"}
    assert [call["from_uri"] for call in kamailio.calls.values()] == [
        f"sip:{NUMBER}0@pop1.test",
        "sip:+1212555014@pop1.test",
    ]
    assert (await driver.verify(TARGET, barred=True)).state is Holding.HOLDS
    assert (await driver.bar(TARGET, "over the limit")).outcome is Outcome.ACKNOWLEDGED, "a second time too"


async def test_the_number_is_barred_before_its_calls_end_so_that_no_new_one_slips_in(
    kamailio: FakeKamailio, driver: KamailioBarring
) -> None:
    kamailio.call_up(NUMBER, 4)
    await driver.bar(TARGET, "over the limit")
    methods = [method for method, _ in kamailio.requests]
    assert methods == ["htable.get", "htable.sets", "dlg.list_match", "dlg.end_dlg"]


async def test_a_bar_holds_when_the_last_call_is_gone(kamailio: FakeKamailio, driver: KamailioBarring) -> None:
    assert (await driver.verify(TARGET, barred=True)).words == "not barred"
    await driver.bar(TARGET, "over the limit")
    kamailio.call_up(NUMBER, 4)
    kamailio.call_up(NUMBER, 5)
    verdict = await driver.verify(TARGET, barred=True)
    assert (verdict.state, verdict.words) == (Holding.NOT_YET, "barred, 1 call still up")
    del kamailio.calls[1]
    assert (await driver.verify(TARGET, barred=True)).state is Holding.HOLDS, "a deleted dialog is none"


async def test_a_restore_takes_the_entry_away_also_when_there_is_none(
    kamailio: FakeKamailio, driver: KamailioBarring
) -> None:
    await driver.bar(TARGET, "over the limit")
    assert (await driver.verify(TARGET, barred=False)).words == "still barred"
    for words in ("restored", "was not barred"):
        answer = await driver.restore(TARGET)
        assert (answer.outcome, answer.words) == (Outcome.ACKNOWLEDGED, words)
        assert kamailio.table == {}
        assert (await driver.verify(TARGET, barred=False)).state is Holding.HOLDS


async def test_the_entry_goes_with_the_last_of_its_services(kamailio: FakeKamailio, driver: KamailioBarring) -> None:
    await asyncio.gather(driver.bar(TARGET, "over the limit"), driver.bar(VOICE_MAIL, "over the limit"))
    assert kamailio.table == {NUMBER: "over the limit [long-distance,voice-mail]"}
    assert (await driver.restore(VOICE_MAIL)).words == "restored; long-distance stays barred"
    assert kamailio.table == {NUMBER: "over the limit [long-distance]"}
    assert (await driver.verify(VOICE_MAIL, barred=False)).state is Holding.HOLDS
    assert (await driver.verify(TARGET, barred=True)).state is Holding.HOLDS
    await driver.restore(TARGET)
    assert kamailio.table == {}


async def test_an_entry_that_somebody_made_by_hand_bars_every_service(
    kamailio: FakeKamailio, driver: KamailioBarring
) -> None:
    kamailio.table[NUMBER] = "fraud"
    assert (await driver.verify(TARGET, barred=True)).state is Holding.HOLDS
    assert (await driver.verify(TARGET, barred=False)).state is Holding.NOT_YET
    await driver.restore(TARGET)
    assert kamailio.table == {}


@pytest.mark.parametrize(
    ("service", "reason", "value"),
    [
        ("a,b]", "over the limit", "over the limit [a%2Cb%5D]"),
        ("fax", "two\r\nlines\x00 [x]", "two lines [x] [fax]"),
        ("fax", "Über 20 €", "Über 20 € [fax]"),
        ("fax", "x" * 999, "x" * 200 + " [fax]"),
    ],
)
async def test_odd_words_stay_one_line_and_are_read_back(
    kamailio: FakeKamailio, driver: KamailioBarring, service: str, reason: str, value: str
) -> None:
    target = Target("kam1", "12125550142", service)
    await driver.bar(target, reason)
    assert kamailio.table == {NUMBER: value}
    await driver.restore(target)
    assert kamailio.table == {}


@pytest.mark.parametrize("line", ["sip:bob@pop1.test", "ip:10.0.0.1", "card:89014", ""])
async def test_a_line_that_is_no_number_is_refused_in_words_and_nothing_is_sent(
    kamailio: FakeKamailio, driver: KamailioBarring, line: str
) -> None:
    target = Target("kam1", line, "fax")
    for answer in (await driver.bar(target, "over the limit"), await driver.restore(target)):
        assert (answer.outcome, answer.words) == (
            Outcome.REFUSED,
            f"the driver kamailio bars numbers, and {line} is none",
        )
    assert (await driver.verify(target, barred=False)).state is Holding.NOT_YET
    assert kamailio.requests == []


@pytest.mark.parametrize("method", ["htable.get", "htable.sets", "dlg.list_match", "dlg.end_dlg"])
@pytest.mark.parametrize(
    ("instead", "outcome"),
    [
        (SILENT, Outcome.UNKNOWN),
        (b"\x00\xffgarbage", Outcome.UNKNOWN),
        (b"", Outcome.UNKNOWN),
        (b"[]", Outcome.UNKNOWN),
        (b'{"jsonrpc":"2.0","result":{},"id":-1}', Outcome.UNKNOWN),
        (b'{"jsonrpc":"2.0","error":{"code":"x"},"id":1}', Outcome.UNKNOWN),
        (fault(500, "Method Not Found"), Outcome.REFUSED),
    ],
)
async def test_what_goes_wrong_with_a_request_is_told_and_raises_nothing(
    kamailio: FakeKamailio, driver: KamailioBarring, method: str, instead: Any, outcome: Outcome
) -> None:
    kamailio.call_up(NUMBER, 4)
    kamailio.instead[method] = instead
    answer = await driver.bar(TARGET, "over the limit")
    if method == "dlg.end_dlg" and outcome is Outcome.REFUSED:
        assert answer.outcome is Outcome.ACKNOWLEDGED
        assert (await driver.verify(TARGET, barred=True)).state is Holding.NOT_YET, "the next look finds the call"
    else:
        assert answer.outcome is outcome
        assert method in answer.words


@pytest.mark.parametrize("value", [{"item": {}}, {}, [], None, 7])
async def test_a_result_of_another_form_is_no_answer(
    kamailio: FakeKamailio, driver: KamailioBarring, value: object
) -> None:
    kamailio.instead["htable.get"] = {"result": value}
    assert (await driver.bar(TARGET, "over the limit")).outcome is Outcome.UNKNOWN
    assert (await driver.verify(TARGET, barred=True)).state is Holding.UNKNOWN
    del kamailio.instead["htable.get"]
    kamailio.instead["dlg.list_match"] = {"result": [{"h_entry": "7"}]}
    assert (await driver.bar(TARGET, "over the limit")).outcome is Outcome.UNKNOWN


async def test_a_missing_table_is_a_refusal_and_not_a_number_that_is_free(server: TestServer) -> None:
    driver = KamailioBarring(str(server.make_url("/RPC")), table="nosuch")
    assert (await driver.restore(TARGET)).words == "htable.get: 500 No such htable"
    assert (await driver.verify(TARGET, barred=False)).state is Holding.NOT_YET
    await driver.close()


async def test_a_url_that_leads_elsewhere_is_told(server: TestServer) -> None:
    driver = KamailioBarring(str(server.make_url("/nowhere")))
    answer = await driver.bar(TARGET, "over the limit")
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.words == "HTTP 404 and no JSON to htable.get: does the url lead to JSON-RPC?"
    await driver.close()


async def test_a_switch_that_is_not_there_is_no_answer(server: TestServer) -> None:
    url = str(server.make_url("/RPC"))
    await server.close()
    driver = KamailioBarring(url)
    assert (await driver.bar(TARGET, "over the limit")).outcome is Outcome.UNKNOWN
    assert (await driver.restore(TARGET)).outcome is Outcome.UNKNOWN
    assert (await driver.verify(TARGET, barred=True)).state is Holding.UNKNOWN
    await driver.close()


async def test_requests_are_as_kamailio_reads_them(kamailio: FakeKamailio, driver: KamailioBarring) -> None:
    kamailio.call_up(NUMBER, 2)
    await driver.bar(TARGET, "over the limit")
    assert kamailio.requests == [
        ("htable.get", ["bar", NUMBER]),
        ("htable.sets", ["bar", NUMBER, "over the limit [long-distance]"]),
        ("dlg.list_match", ["furi", "sw", f"sip:{NUMBER}@", 1000]),
        ("tm.cancel", ["call-1", "42"]),
    ]


async def test_a_service_with_commands_of_its_own_is_barred_by_them_alone(
    kamailio: FakeKamailio, server: TestServer
) -> None:
    fax = rpc_commands(
        'htable.sets no-fax {line} {reason}; htable.sets "why fax" {line} 7',
        "htable.delete no-fax {line}",
        "htable.get bar {line}",
    )
    driver = KamailioBarring(str(server.make_url("/RPC")), services={"fax": fax}, timeout_s=0.2)
    target = Target("kam1", "12125550142", "fax")
    assert (await driver.verify(target, barred=False)).state is Holding.HOLDS
    assert (await driver.bar(target, "two\nlines; x")).outcome is Outcome.ACKNOWLEDGED
    assert (await driver.verify(target, barred=True)).state is Holding.HOLDS
    assert (await driver.verify(target, barred=False)).state is Holding.NOT_YET
    for _ in range(2):  # the second time there is nothing, and that is no fault
        assert (await driver.restore(target)).outcome is Outcome.ACKNOWLEDGED
    commands = [request for request in kamailio.requests if request[0] != "htable.get"]
    assert commands == [
        ("htable.sets", ["no-fax", NUMBER, "two lines; x"]),
        ("htable.sets", ["why fax", NUMBER, 7]),
        *[("htable.delete", ["no-fax", NUMBER])] * 2,
    ]
    kamailio.instead = {"htable.sets": fault(500, "No such htable"), "htable.get": fault(500, "No such htable")}
    assert (await driver.bar(target, "x")).words == "htable.sets: 500 No such htable"
    assert (await driver.verify(target, barred=False)).state is Holding.NOT_YET
    kamailio.instead = dict.fromkeys(("htable.sets", "htable.get"), SILENT)
    assert (await driver.bar(target, "x")).outcome is Outcome.UNKNOWN
    assert (await driver.verify(target, barred=True)).state is Holding.UNKNOWN
    await driver.close()


@pytest.mark.parametrize(
    ("bar", "restore", "verify", "words"),
    [
        ("a b", None, None, "bar and restore go together: write both"),
        ("a {number}", "b", None, "bar: {number} is no slot: use {line}, {reason}, {service}, each by itself"),
        ("a x{line}", "b", None, "bar: x{line} is no slot: use {line}, {reason}, {service}, each by itself"),
        ("a", "", None, "restore: write a method and its parameters, such as htable.sets no-fax {line} 1"),
        ("{line}", "b", None, "bar: write a method and its parameters, such as htable.sets no-fax {line} 1"),
        ("a 'b", "b", None, 'bar: "a \'b" has a quotation mark that does not close'),
        ("a", "b", "c; d", "verify: it is one command"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_what_to_write(
    bar: str, restore: str | None, verify: str | None, words: str
) -> None:
    with pytest.raises(TemplateError) as refused:
        rpc_commands(bar, restore, verify)
    assert str(refused.value) == words


def some(count: int, service: str = "long-distance") -> list[Target]:
    return [Target("kam1", f"1212555{number:04}", service) for number in range(count)]


async def all_barred(driver: KamailioBarring, targets: list[Target]) -> None:
    for target in targets:
        assert (await driver.bar(target, "over the limit")).outcome is Outcome.ACKNOWLEDGED


@pytest.mark.parametrize("count", [FEW, FEW + 1])
async def test_many_bars_are_looked_at_by_the_table_and_what_is_not_in_it_does_not_hold(
    kamailio: FakeKamailio, driver: KamailioBarring, count: int
) -> None:
    targets = some(count)
    await all_barred(driver, targets)
    kamailio.table["+12125550001"] = "over the limit [voice-mail]"
    del kamailio.table["+12125550002"]
    kamailio.table["+12125550003"] = "by hand"
    kamailio.requests.clear()
    verdicts = await driver.check(targets)
    not_yet = [number for number, verdict in enumerate(verdicts) if verdict.state is Holding.NOT_YET]
    assert not_yet == [1, 2]
    assert {verdict.state for verdict in verdicts} == {Holding.HOLDS, Holding.NOT_YET}
    asked = ["htable.get"] * count if count == FEW else ["htable.dump"]
    assert [method for method, _ in kamailio.requests] == asked


async def test_an_empty_table_holds_nothing(kamailio: FakeKamailio, driver: KamailioBarring) -> None:
    assert {verdict.state for verdict in await driver.check(some(FEW + 1))} == {Holding.NOT_YET}
    assert await driver.check([]) == []


@pytest.mark.parametrize(
    "instead", [fault(500, "no memory"), b"no JSON", {"result": "what"}, {"result": [{"slot": 1}]}]
)
async def test_a_table_that_is_not_told_whole_is_looked_at_line_by_line(
    kamailio: FakeKamailio, driver: KamailioBarring, instead: Any
) -> None:
    targets = some(FEW + 1)
    await all_barred(driver, targets)
    kamailio.instead["htable.dump"] = instead
    for _ in range(2):
        kamailio.requests.clear()
        assert {verdict.state for verdict in await driver.check(targets)} == {Holding.HOLDS}
    assert "htable.dump" not in {method for method, _ in kamailio.requests}, "it is not asked for ever"


@pytest.mark.parametrize("count", [3, FEW + 1])
async def test_a_switch_that_does_not_answer_is_not_asked_for_every_bar(
    kamailio: FakeKamailio, driver: KamailioBarring, count: int
) -> None:
    kamailio.instead |= {"htable.get": b"busy", "htable.dump": b"busy"}
    assert {verdict.state for verdict in await driver.check(some(count))} == {Holding.UNKNOWN}
    assert len(kamailio.requests) == (1 if count == 3 else 2)


async def test_services_with_commands_of_their_own_are_looked_at_by_these(
    kamailio: FakeKamailio, server: TestServer
) -> None:
    fax = rpc_commands("htable.sets bar {line} {reason}", "htable.delete bar {line}", "htable.get bar {line}")
    driver = KamailioBarring(str(server.make_url("/RPC")), services={"fax": fax}, timeout_s=0.2)
    targets = some(2, "fax")
    await all_barred(driver, targets[:1])
    assert [verdict.state for verdict in await driver.check(targets)] == [Holding.HOLDS, Holding.NOT_YET]
    kamailio.instead["htable.get"] = fault(500, "No such htable")
    assert {verdict.state for verdict in await driver.check(targets)} == {Holding.UNKNOWN}
    await driver.close()


async def test_a_line_that_is_barred_and_makes_no_call_is_told_of(kamailio: FakeKamailio, server: TestServer) -> None:
    idle: list[str] = []
    driver = KamailioBarring(str(server.make_url("/RPC")), timeout_s=0.2, idle=idle.append)
    kamailio.call_up(NUMBER, 2)
    await driver.verify(TARGET, barred=False)
    kamailio.table[NUMBER] = "over the limit [long-distance]"
    await driver.verify(TARGET, barred=True)
    assert idle == []
    kamailio.calls.clear()
    await driver.verify(TARGET, barred=True)
    assert idle == [TARGET.line]
    await driver.close()
