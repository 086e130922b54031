"""`tollkeeper suspense`, with and without a running daemon: from a record that nobody understood to a charge."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.acceptance.daemon_process import DaemonProcess, Site, one_line
from tests.small_site import LONDON, NOWHERE, STRANGER, a_record, account, line, ndjson

UNKNOWN = a_record("unknown", calling=STRANGER)
NO_RATE = a_record("no-rate", called=NOWHERE)
SHORT = a_record("short", calling="+101")
GARBAGE = b"\xff not a record"
LINES = "line,account,provider,service,switch\n"


@contextmanager
def with_suspended(site: Site, running: bool) -> Iterator[DaemonProcess | None]:
    """Four records in suspense, 1 to 4, and one transaction; the daemon still runs, or not."""
    with site.serving() as daemon:
        with daemon.pop() as pop:
            assert pop.send(ndjson(UNKNOWN, NO_RATE, SHORT, GARBAGE, a_record("fine"))).counts == (1, 0, 4)
        if running:
            yield daemon
            assert daemon.is_running
            return
        assert daemon.terminate() == 0
    yield None


@pytest.fixture(params=[False, True], ids=["alone", "while the daemon runs"])
def desk(provisioned: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with suspended records; whatever was done, its books balance."""
    with with_suspended(provisioned, request.param) as daemon:
        yield provisioned
        resent = [UNKNOWN, NO_RATE, SHORT, GARBAGE]
        if daemon is not None:
            with daemon.pop() as pop:
                assert pop.send(ndjson(*resent)).counts == (0, 4, 0)
        day = provisioned.done("account-for", "--day", arrival(provisioned)[:10], "--json")
        assert json.loads(day)["adds_up"]
        assert provisioned.answer("recount")[1]["differences"] == 0


def arrival(site: Site) -> str:
    return str(shown(site, 1)["arrived_at"])


def shown(site: Site, id_: int) -> dict[str, Any]:
    return site.answer("suspense", "show", str(id_))[1]


def reasons(site: Site) -> dict[str, int]:
    found: dict[str, int] = site.answer("suspense", "list")[1]["reasons"]
    return found


def charges(site: Site) -> dict[str, str]:
    return {line["id"]: line["charge"] for line in site.export()}


def import_stranger(site: Site) -> None:
    site.done("import", "lines", site.write("new.csv", f"{LINES}{STRANGER},{account(0)},Metro,long-distance,\n"))


def test_what_is_in_suspense_is_counted_listed_and_shown(desk: Site) -> None:
    assert reasons(desk) == {"malformed": 1, "no-rate": 1, "unknown-line": 2}
    assert b"4  in suspense" in desk.done("suspense", "list")
    _, listed = desk.answer("suspense", "list", "--reason", "unknown-line", "--source", "pop-a", "--limit", "1")
    assert ([item["id"] for item in listed["items"]], listed["next"]) == ([1], 1)
    _, listed = desk.answer("suspense", "list", "--reason", "unknown-line", "--after", "1")
    assert ([item["record_id"] for item in listed["items"]], listed["next"]) == (["short"], None)
    record = shown(desk, 1)
    assert json.loads(record["raw"]) == UNKNOWN
    assert record["understood"]["calling"] == STRANGER
    assert (record["reason"], record["state"], record["history"]) == ("unknown-line", "open", [])
    text = desk.done("suspense", "show", "4").decode()
    assert r"\xff not a record" in text
    assert "not UTF-8" in text


def test_a_line_is_imported_and_its_records_recycled(desk: Site) -> None:
    import_stranger(desk)
    code, done = desk.answer("suspense", "recycle", "--reason", "unknown-line")
    assert code == 0
    assert done == {
        "recycled": 1, "duplicates": 0, "still_open": 1,
        "by_reason_before": {"unknown-line": 2}, "by_reason_after": {"unknown-line": 1},
    }  # fmt: skip
    assert charges(desk) == {"fine": "0.6600", "unknown": "0.6600"}
    record = shown(desk, 1)
    (transaction,) = [line["transaction"] for line in desk.export() if line["id"] == "unknown"]
    assert (record["state"], record["transaction"]) == ("recycled", transaction)
    assert [one["change"] for one in record["history"]] == ["recycled"]
    assert desk.answer("explain", str(transaction))[1]["agrees"]
    _, origin = desk.answer("suspense", "show", "--transaction", str(transaction))
    assert [one["id"] for one in origin["records"]] == [1]
    assert desk.answer("suspense", "recycle", "--all")[1]["recycled"] == 0


def test_many_are_mended_by_a_number_and_recycled_at_once(desk: Site) -> None:
    done = desk.done(
        "suspense", "mend", "--reason", "unknown-line", "--replace", "calling", "101", line(0), "--recycle"
    ).decode()
    assert "1 mended, 1 unchanged, 0 refused" in done
    assert "1 recycled, 0 duplicates, 1 still in suspense" in done
    assert charges(desk) == {"fine": "0.6600", "short": "0.6600"}
    assert json.loads(shown(desk, 3)["raw"]) == SHORT


def test_a_record_is_mended_by_its_fields_or_as_a_whole(desk: Site) -> None:
    assert desk.answer("suspense", "mend", "2", "--set", f"called={LONDON}")[1]["mended"]["mended"] == 1
    assert shown(desk, 2)["understood"]["called"] == LONDON
    file = desk.directory / "record.json"
    file.write_bytes(ndjson(a_record("mended")))
    assert desk.answer("suspense", "mend", "4", "--line", file)[1]["mended"]["mended"] == 1
    assert charges(desk) == {"fine": "0.6600"}
    desk.done("suspense", "recycle", "2", "4")
    assert charges(desk) == {"fine": "0.6600", "no-rate": "0.6600", "mended": "0.6600"}


def test_what_cannot_be_read_is_refused_in_words(desk: Site) -> None:
    ended = desk.command("suspense", "mend", "2", "--set", "called=nobody")
    assert ended.returncode == 1
    assert "record 2: bad-number: called 'nobody'" in one_line(ended.stderr)
    assert shown(desk, 2)["mended"] is None


def test_a_record_is_discarded_with_a_remark(desk: Site) -> None:
    assert desk.answer("suspense", "discard", "4", "--remark", "line noise") == (0, {"discarded": 1})
    record = shown(desk, 4)
    assert (record["state"], record["remark"]) == ("discarded", "line noise")
    _, day = desk.answer("account-for", "--day", arrival(desk)[:10])
    assert (day["sources"]["pop-a"]["suspended"], day["sources"]["pop-a"]["discarded"]) == (3, 1)
    ended = desk.command("suspense", "recycle", "4")
    assert (ended.returncode, one_line(ended.stderr)) == (0, "record 4 is discarded already, and stays as it is")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("recycle",), 2, "which records"),
        (("recycle", "1", "--all"), 2, "not both"),
        (("recycle", "1", "--reason", "no-rate"), 2, "not both"),
        (("recycle", "--all", "--reason", "no-rate"), 2, "--all"),
        (("recycle", "x"), 2, "'x' is not a number"),
        (("recycle", "--source", "nobody"), 1, "no source nobody"),
        (("recycle", "99"), 1, "no record 99"),
        (("show", "99"), 1, "no record 99"),
        (("discard", "1"), 2, "--remark"),
        (("discard", "1", "--remark", " "), 1, "say why"),
        (("mend", "1"), 1, "nothing to mend"),
        (("mend", "1", "--set", "called"), 2, "FIELD=VALUE"),
        (("mend", "1", "2", "--line", "-"), 2, "0 lines"),
        (("mend", "1", "--line", "missing.json"), 2, "missing.json"),
        (("list", "--source", "nobody"), 1, "no source nobody"),
    ],
)
def test_a_wrong_order_is_one_line(provisioned: Site, arguments: tuple[str, ...], code: int, words: str) -> None:
    with with_suspended(provisioned, False):
        ended = provisioned.command("suspense", *arguments)
    assert ended.returncode == code
    assert words in one_line(ended.stderr)
