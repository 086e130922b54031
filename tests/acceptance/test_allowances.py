"""Charges that depend on use, by the whole daemon: imported while it runs, exactly once through kill -9, explained."""

import http.client
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from random import Random
from typing import Any

import pytest

from tests.acceptance.daemon_process import DaemonProcess, Site
from tests.naive_allowances import NaiveLife
from tests.small_site import LONDON, TARIFF, a_record, account, accounts_csv, ndjson

ROUNDS = min(int(os.environ.get("TOLLKEEPER_KILL_ROUNDS", "3")), 50)
SEED = int(os.environ.get("TOLLKEEPER_KILL_SEED", "1"))

RULES = """
[[allowance]]
name = "free"
per = "month"
minutes = 5
connect_fee = "free"
[[favourites]]
name = "family"
numbers = 1
percent = 50
[[discount]]
name = "volume"
per = "month"
on = "charges"
steps = [{ above = "1.00", percent = 10 }, { above = "3.00", percent = "12.5" }]
"""


@pytest.fixture
def site(provisioned: Site) -> Site:
    """A provisioned site, whose daemon rates in a process in front of the seam."""
    provisioned.config.write_text(provisioned.config.read_text() + "\n[rating]\nprocesses = 1\n")
    return provisioned


def import_rules(site: Site, toml: str = RULES) -> None:
    site.files.tariff.write_text(TARIFF + toml)
    site.done("import", "tariff", site.files.tariff)


def charges(site: Site) -> dict[str, str]:
    return {line["id"]: line["charge"] for line in site.export()}


def test_rules_and_favourites_are_in_force_when_their_import_returns(site: Site) -> None:
    with site.serving() as daemon, daemon.pop() as pop:
        assert pop.send(ndjson(a_record("before"))).counts == (1, 0, 0)
        import_rules(site)
        assert pop.send(ndjson(a_record("free", duration=299))).counts == (1, 0, 0)
        assert pop.send(ndjson(a_record("last", duration=61))).counts == (1, 0, 0)
        site.done("import", "favourites", site.write("favourites.csv", f"account,number\n{account(0)},{LONDON}\n"))
        assert pop.send(ndjson(a_record("family", duration=95), a_record("volume", duration=95))).counts == (2, 0, 0)
        running = charges(site)
        assert daemon.terminate() == 0, daemon.text
    assert running == {"before": "0.6600", "free": "0.0000", "last": "0.6000", "family": "0.5000", "volume": "0.4500"}
    code, told = site.answer("explain", "5")
    assert code == 0
    assert [reduction["rule"] for reduction in told["explanation"]["reductions"]] == ["family", "volume"]
    assert b"without allowances and discounts it would cost 1.0000" in site.done("explain", "5")
    assert site.answer("recount")[0] == 0


def test_an_account_in_another_currency_is_charged_by_the_stated_rate(site: Site) -> None:
    with site.serving() as daemon, daemon.pop() as pop:
        euros = accounts_csv([0]).replace("USD", "EUR")
        site.done("import", "accounts", site.write("euros.csv", euros))
        assert pop.send(ndjson(a_record("before"))).counts == (0, 0, 1)
        import_rules(site, '[conversion]\nEUR = "0.5"\n')
        assert site.answer("suspense", "recycle", "--reason", "no-conversion")[0] == 0
        assert pop.send(ndjson(a_record("after"))).counts == (1, 0, 0)
    assert {(line["id"], line["charge"], line["currency"]) for line in site.export()} == {
        ("before", "0.3300", "EUR"), ("after", "0.3300", "EUR"),
    }  # fmt: skip
    assert b"in USD so far; 1 USD = 0.5 EUR" in site.done("explain", "1")


def calls(random: Random) -> Iterator[dict[str, Any]]:
    """Endless, of two months and three accounts."""
    for n in count():
        start = random.choice(("2025-11-20T14:07:31Z", "2025-10-20T14:07:31Z"))
        calling = f"+1212555000{random.randrange(3)}"
        yield a_record(f"r-{n}", calling=calling, start=start, answer=start, duration=random.randint(1, 90))


def test_whatever_kills_it_every_charge_is_that_of_its_place_in_the_order(site: Site) -> None:
    import_rules(site)
    random, sent = Random(SEED), list[dict[str, Any]]()
    every = calls(random)
    for _ in range(ROUNDS):
        with site.serving() as daemon:
            send_until_killed(daemon, every, sent, random)
    with site.serving() as daemon, daemon.pop() as pop:
        accepted, duplicate, suspended = pop.send(ndjson(*sent)).counts
        assert duplicate > 0
        assert (accepted + duplicate, suspended) == (len(sent), 0)
        assert site.answer("recount")[0] == 0
    assert site.answer("recount")[0] == 0
    assert_charged_in_order(site, len(sent))
    assert len(sent) > 20 * ROUNDS, "hardly anything was sent: the test says nothing"


def send_until_killed(
    daemon: DaemonProcess, every: Iterator[dict[str, Any]], sent: list[dict[str, Any]], random: Random
) -> None:
    """Small batches, each with some records that came before, until a kill -9 in the middle of it."""
    killing = threading.Timer(random.uniform(0.2, 0.8), daemon.kill)
    killing.start()
    try:
        with daemon.pop() as pop:
            while True:
                some = [next(every) for _ in range(random.randint(1, 10))]
                again = random.sample(sent, min(len(sent), 3))
                sent += some
                pop.send(ndjson(*some, *again))
    except (OSError, http.client.HTTPException):
        pass
    finally:
        killing.join()


def assert_charged_in_order(site: Site, number: int) -> None:
    """Each account's charges are those of one call after the other, in the order of the transactions."""
    rates = {
        "steps": [{"after": 0, "rate": "0.01", "per": 1, "first": 1, "next": 1}], "connect": Fraction("0.05"),
        "least": None, "most": None, "decimals": 4, "rounding": "half-up",
    }  # fmt: skip
    rules = {
        "allowance": [{"name": "free", "per": "month", "minutes": 5, "connect_fee": "free"}],
        "discount": [
            {
                "name": "volume", "per": "month", "on": "charges",
                "steps": [{"above": "1.00", "percent": 10}, {"above": "3.00", "percent": "12.5"}],
            }
        ],
    }  # fmt: skip
    lives: dict[str, NaiveLife] = {}
    stored = sorted(site.export(), key=lambda line: int(line["transaction"]))
    for line in stored:
        life = lives.setdefault(line["account"], NaiveLife(rates, rules))
        call = {
            "seconds": line["duration"], "service": line["service"], "destination": "London", "type": "direct",
            "window": {"month": line["answer"][:7].replace("-", "")}, "favourite": False,
        }  # fmt: skip
        assert Fraction(line["charge"]) == life.charge(call).charge, line
    assert len({line["id"] for line in stored}) == len(stored) == number
