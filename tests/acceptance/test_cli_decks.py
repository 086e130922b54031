"""Carriers' decks by the command line: imported, refused in their own words, and looked at before they are imported."""

import threading
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from tests.acceptance.daemon_process import Site
from tests.integration.daemon_in_thread import rows_of
from tests.small_site import BOSTON, DECK, LONDON, TARIFF, a_record, ndjson

FORMAT = """\
[deck_format]
columns = { prefix = "Dial Code", destination = "Country", rate = "Price/min" }
defaults = { per_s = 60, increments = "1/1", connect_fee = "0.05" }
effective = "From"
"""
HEADER = ["Country", "Dial Code", "Price/min", "From"]
ROWS: list[list[Any]] = [["London", "4420", 0.9, None], ["France", "33,590-591", 0.3, None]]
LATER: list[Any] = ["London", "4420", 0.8, "2026-03-01"]
NEWER = TARIFF.replace("2020-01-01", "2021-01-01")


def workbook(site: Site, *rows: list[Any]) -> Path:
    """A tariff whose deck is a sheet with these rows."""
    book = Workbook()
    for row in (HEADER, *rows):
        book.active.append(row)
    book.save(site.directory / "carrier.xlsx")
    return site.write("carrier.toml", NEWER.replace("standard.csv", "carrier.xlsx") + FORMAT)


@pytest.mark.parametrize("running", [False, True], ids=["alone", "while the daemon runs"])
def test_a_workbook_is_imported_with_a_version_for_each_later_day(provisioned: Site, running: bool) -> None:
    toml = workbook(provisioned, *ROWS, LATER)
    if running:
        with provisioned.serving():
            assert provisioned.answer("import", "tariff", toml) == (
                0,
                {"imported": 2, "errors": [], "versions": [2, 3]},
            )
    else:
        assert (
            provisioned.done("import", "tariff", toml).decode() == "version 2 of the tariff\nversion 3 of the tariff\n"
        )
    with provisioned.serving() as daemon, daemon.pop() as pop:
        calls = [
            a_record(day, start=f"{day}T12:00:00Z", answer=None) for day in ("2020-11-20", "2025-11-20", "2026-03-02")
        ]
        assert pop.send(ndjson(*calls)).counts == (3, 0, 0)
    exported = provisioned.export()
    assert [row["charge"] for row in exported] == ["0.6600", "0.9650", "0.8633"]
    for row in exported:  # by the text that the store keeps: the workbook may be gone
        (provisioned.directory / "carrier.xlsx").unlink(missing_ok=True)
        assert provisioned.answer("explain", str(row["transaction"]))[1]["explanation"]["charge"] == row["charge"]


def test_the_same_deck_again_makes_no_other_versions(provisioned: Site) -> None:
    toml = workbook(provisioned, *ROWS, LATER)
    for _ in range(2):
        assert provisioned.answer("import", "tariff", toml)[1]["versions"] == [2, 3]


@pytest.mark.parametrize("options", [[], ["--preview"]])
def test_a_wrong_deck_is_refused_with_every_row_and_header_that_is_wrong(provisioned: Site, options: list[str]) -> None:
    toml = workbook(provisioned, ["London", "0044 20", 0.9, None], ["France", "33", "abc", "soon"])
    ended = provisioned.command("import", "tariff", toml, *options)
    assert ended.returncode == 2
    (first,) = ended.stderr.decode().splitlines()
    assert "row 2, Dial Code" in first
    said = ended.stdout.decode().splitlines()
    assert [line.partition("carrier.xlsx: ")[2].split(":")[0] for line in said] == [
        "row 2, Dial Code",
        "row 3, Price/min",
        "row 3, From",
    ]
    assert rows_of(provisioned.store, "SELECT count(*) FROM tariffs") == [(1,)]


def test_calls_are_rated_by_a_workbook_without_a_store(provisioned: Site) -> None:
    ended = provisioned.rate(workbook(provisioned, *ROWS, LATER), ndjson(a_record("x")))
    assert b'"charge":"0.9650"' in ended.stdout


def test_a_preview_says_what_changes_and_imports_nothing(provisioned: Site) -> None:
    toml = workbook(provisioned, *ROWS, LATER)
    before = rows_of(provisioned.store, "SELECT * FROM tariffs")
    code, told = provisioned.answer("import", "tariff", toml, "--preview")
    assert code == 0
    assert told["against"] == {"version": 1, "valid_from": "2020-01-01T05:00:00Z"}
    assert told["counts"] == {"new": 3, "gone": 1, "dearer": 1, "cheaper": 0, "other_terms": 0, "same": 0}
    (dearer,) = told["changes"]["dearer"]
    assert (dearer["prefix"], dearer["old"], dearer["new"]) == ("4420", "0.61666667", "0.91666667")
    assert dearer["percent"] == "48.6"
    assert told["later"] == ["2026-03-01T05:00:00Z"]
    assert told["traffic"] is None
    said = provisioned.done("import", "tariff", toml, "--preview").decode()
    assert "4420             London" in said
    assert "0.61666667 -> 0.91666667  +48.6 %" in said
    assert rows_of(provisioned.store, "SELECT * FROM tariffs") == before


def test_a_preview_says_what_a_months_traffic_would_have_cost(provisioned: Site) -> None:
    def call(id_: str, **fields: Any) -> dict[str, Any]:
        return a_record(id_, **{"duration": 60, **fields})

    calls = [
        call("a"),
        call("b", called=BOSTON),
        call("c", duration=0),
        call("last", start="2025-11-30T23:59:59-05:00", answer=None),
        call("before", start="2025-10-31T23:59:59-04:00", answer=None),
        call("after", start="2025-12-01T00:00:00-05:00", answer=None),
    ]
    toml = workbook(provisioned, *ROWS)
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(*calls)).counts == (6, 0, 0)
        _, told = provisioned.answer("import", "tariff", toml, "--preview", "--traffic", "2025-11")
    (sums,) = told["traffic"]["currencies"]
    assert (sums["currency"], sums["calls"], sums["old"], sums["new"]) == ("USD", 2, "1.30", "1.90")
    assert (sums["change"], sums["percent"]) == ("0.60", "46.2")
    assert sums["destinations"] == [
        {"destination": "London", "calls": 2, "old": "1.30", "new": "1.90", "change": "0.60", "percent": "46.2"}
    ]
    assert sums["suspended"] == {"no-rate": {"calls": 1, "old": "0.06"}}
    said = provisioned.done("import", "tariff", toml, "--preview", "--traffic", "2025-11").decode()
    assert "2 calls: 1.30 -> 1.90 (+0.60, +46.2 %) USD" in said
    assert "1 calls that cost 0.06 USD would be suspended: no-rate" in said


def test_a_preview_compares_what_calls_cost_before_allowances_and_leaves_reversed_charges_out(
    provisioned: Site,
) -> None:
    allowance = '[[allowance]]\nname = "ten"\nper = "month"\nminutes = 10\nconnect_fee = "free"\n'
    provisioned.write("standard.csv", DECK)
    provisioned.done("import", "tariff", provisioned.write("standard.toml", TARIFF + allowance))
    with provisioned.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(a_record("free", duration=60), a_record("also", duration=60))).counts == (2, 0, 0)
    assert [row["charge"] for row in provisioned.export()] == ["0.0000", "0.0000"]
    provisioned.write("standard.csv", DECK.replace("0.6000", "1.2000"))
    provisioned.done("import", "tariff", provisioned.directory / "standard.toml")
    toml = workbook(provisioned, *ROWS)
    for rerated, old in ((False, "1.30"), (True, "2.50")):
        if rerated:
            provisioned.done("rerate", "--tariff", "standard", "--yes")
        _, told = provisioned.answer("import", "tariff", toml, "--preview", "--traffic", "2025-11")
        (sums,) = told["traffic"]["currencies"]
        assert (sums["calls"], sums["old"], sums["new"]) == (2, old, "1.90")


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("lines", ["--preview"], "--preview is of a tariff"),
        ("tariff", ["--traffic", "2025-11"], "give --preview too"),
        ("tariff", ["--preview", "--traffic", "November"], "'November' is not a month"),
        ("tariff", ["--preview", "--traffic", "2025-13"], "'2025-13' is not a month"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(site: Site, kind: str, options: list[str], words: str) -> None:
    ended = site.command("import", kind, site.files.tariff, *options)
    assert ended.returncode == 2
    assert words in ended.stderr.decode()


def test_every_record_is_rated_wholly_by_one_version_while_decks_are_imported(provisioned: Site) -> None:
    """Fee and rate of each version are the same number, so that a charge of two versions would be no version's."""
    stop, sent = threading.Event(), []
    with provisioned.serving() as daemon:

        def keep_sending() -> None:
            with daemon.pop() as pop:
                while not stop.is_set():
                    n = len(sent)
                    batch = [a_record(f"{n}-{m}", called=(LONDON, BOSTON)[m % 2], duration=60) for m in range(200)]
                    sent.append(pop.send(ndjson(*batch)).counts)

        sender = threading.Thread(target=keep_sending)
        sender.start()
        try:
            for version in range(2, 12):
                cents = f"{version / 100:.2f}"
                deck = DECK.replace("0,0.0500,0.6000", f"0,{cents},{cents}").replace("0,0,0.0600", f"0,{cents},{cents}")
                provisioned.write("standard.csv", deck)
                toml = provisioned.write("standard.toml", TARIFF + f"# {version}\n")
                assert provisioned.answer("import", "tariff", toml)[1]["imported"] == version
        finally:
            stop.set()
            sender.join()
        assert set(sent) == {(200, 0, 0)}
    charges = set(rows_of(provisioned.store, "SELECT tariff, destination, charge_micros FROM transactions_202511"))
    first = {(1, "London", 650_000), (1, "Home", 60_000)}
    assert len({tariff for tariff, _, _ in charges}) > 1
    assert charges <= first | {(v, name, 2 * v * 10_000) for v in range(2, 12) for name in ("London", "Home")}
    assert provisioned.answer("recount")[0] == 0
