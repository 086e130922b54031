"""The files of a made-up population are in the contract's formats, and cover the traffic that it makes."""

import csv
import io
import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from simulators.numbering import COUNTRIES
from simulators.population import lines_of, make_population, read_lines
from simulators.provisioning import accounts_csv, deck_csv, lines_csv, tariff_toml, write_provisioning
from simulators.traffic import Traffic

SUBSCRIBERS = make_population(120, seed=1)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), strict=True))


def test_accounts_have_limits_zones_and_their_agents_by_turns() -> None:
    rows = rows_of(accounts_csv(SUBSCRIBERS, tariff="demo", agents=["ada", "bob"]))
    assert [row["account"] for row in rows] == [subscriber.account for subscriber in SUBSCRIBERS]
    assert [row["agent"] for row in rows[:3]] == ["ada", "bob", "ada"]
    for row in rows:
        assert list(row) == (
            [
                "account",
                "name",
                "email",
                "currency",
                "timezone",
                "credit_limit",
                "tariff",
                "agent",
                "cycle_day",
                "segment",
            ]
        )
        assert Decimal(row["credit_limit"]) > 0
        assert 1 <= int(row["cycle_day"]) <= 31
        assert (row["currency"], row["tariff"]) == ("USD", "demo")
        assert row["email"].endswith("@example.com")
        ZoneInfo(row["timezone"])
    assert len({row["email"] for row in rows}) == len(rows)
    assert {row["agent"] for row in rows_of(accounts_csv(SUBSCRIBERS, tariff="demo"))} == {""}


def test_every_line_has_a_row_for_each_service() -> None:
    rows = rows_of(lines_csv(SUBSCRIBERS, lambda line: "nas1" if line.zone == "America/New_York" else ""))
    assert len({(row["line"], row["service"]) for row in rows}) == len(rows)
    assert {row["account"] for row in rows} == {subscriber.account for subscriber in SUBSCRIBERS}
    assert {row["switch"] for row in rows} == {"nas1", ""}
    assert all(row["provider"] and row["service"] for row in rows)


def test_a_pop_that_reads_the_lines_file_finds_the_same_lines() -> None:
    read = read_lines(lines_csv(SUBSCRIBERS), seed=1)
    made = lines_of(SUBSCRIBERS)
    assert [(line.number, line.services) for line in read] == [(line.number, line.services) for line in made]


def test_the_tariff_names_its_deck_and_defines_its_periods() -> None:
    tariff = tomllib.loads(tariff_toml("demo", date(2026, 1, 1)))
    assert (tariff["name"], tariff["deck"], tariff["valid_from"]) == ("demo", "demo.csv", "2026-01-01")
    assert {period["name"] for period in tariff["period"]} == {"peak", "off-peak"}


def test_the_deck_prices_calls_in_both_periods_and_messages_at_every_prefix() -> None:
    rows = rows_of(deck_csv())
    by_prefix: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_prefix.setdefault(row["prefix"], []).append(row)
        assert row["after_s"] == "0"
        assert Decimal(row["rate"]) > 0
        assert Decimal(row["connect_fee"]) >= 0
        assert int(row["per_s"]) >= 1
        assert all(int(part) >= 1 for part in row["increments"].split("/"))
    assert by_prefix.keys() >= {"", "1", "1212", "4420", "1900"}
    for prefix_rows in by_prefix.values():
        kinds = [(row["period"], row["type"]) for row in prefix_rows]
        assert sorted(kinds) == [("", "message"), ("off-peak", ""), ("peak", "")]


def test_every_call_of_the_population_is_provisioned_and_has_a_price() -> None:
    lines = {(row["line"], row["service"]) for row in rows_of(lines_csv(SUBSCRIBERS))}
    numbers = {number for number, _ in lines}
    prefixes = {row["prefix"] for row in rows_of(deck_csv())}
    traffic = Traffic(lines_of(SUBSCRIBERS), seed=1, start=datetime(2026, 11, 16, tzinfo=UTC))
    for record in islice(traffic.records(), 3000):
        assert record["calling"] in numbers
        assert record.get("charge_to", record["calling"]) in numbers
        if "service" in record:
            assert (record["calling"], record["service"]) in lines
    assert prefixes >= {place.prefix for place in COUNTRIES}


def test_files_are_written_beside_each_other(tmp_path: Path) -> None:
    files = write_provisioning(tmp_path, SUBSCRIBERS, valid_from=date(2026, 1, 1), tariff="demo")
    assert files.deck == files.tariff.parent / tomllib.loads(files.tariff.read_text())["deck"]
    assert {file.name for file in tmp_path.iterdir()} == {"accounts.csv", "lines.csv", "demo.toml", "demo.csv"}
    assert files.accounts.read_text() == accounts_csv(SUBSCRIBERS, tariff="demo")
    assert files.lines.read_text() == lines_csv(SUBSCRIBERS)
    assert files.deck.read_text() == deck_csv()
