"""Charging again where charges depend on use: what is taken back is unused again, and the new charge uses it anew."""

from fractions import Fraction
from typing import Any

import pytest

from tests.acceptance.daemon_process import Site
from tests.small_site import DECK, TARIFF, a_record, ndjson

RULES = """
[[allowance]]
name = "free"
per = "month"
minutes = 2
[[discount]]
name = "volume"
per = "month"
on = "charges"
steps = [{ above = "0.50", percent = 10 }]
"""


def use(site: Site, rate: str) -> None:
    """Rate London by this price a minute, and the rules."""
    site.files.tariff.write_text(TARIFF + RULES)
    (site.files.tariff.parent / "standard.csv").write_text(DECK.replace("0.6000", rate))
    site.done("import", "tariff", site.files.tariff)


def charges(site: Site) -> list[tuple[str, str]]:
    lines = sorted(site.export(), key=lambda line: int(line["transaction"]))
    return [(line["id"], line["charge"]) for line in lines]


def rerate(site: Site, *options: str) -> dict[str, Any]:
    code, told = site.answer("rerate", "--from", "2025-01-01", *options)
    assert code == 0
    return {name: value for name, value in told.items() if name not in ("dry_run", "run", "seconds")}


@pytest.mark.parametrize("running", [False, True])
def test_allowances_follow_and_a_second_run_changes_nothing(provisioned: Site, running: bool) -> None:
    site = provisioned
    use(site, "0.6000")
    with site.serving() as daemon, daemon.pop() as pop:
        records = [a_record(str(n), duration=90) for n in range(3)]
        assert pop.send(ndjson(*records)).counts == (3, 0, 0)
        assert charges(site) == [("0", "0.0500"), ("1", "0.6500"), ("2", "0.8550")]
        assert rerate(site, "--yes")["changed"] == 0
        use(site, "1.2000")
        if not running:
            assert daemon.terminate() == 0
        tried, done = rerate(site, "--dry-run"), rerate(site, "--yes")
        assert done["changed"] == 3
        assert tried == done
        assert charges(site)[3:] == [
            ("0", "-0.0500"), ("0", "0.0500"), ("1", "-0.6500"), ("1", "1.2500"), ("2", "-0.8550"), ("2", "1.6650"),
        ]  # fmt: skip
        assert sum(Fraction(charge) for _, charge in charges(site)) == Fraction("2.965")
        assert rerate(site, "--yes")["changed"] == 0
        assert site.answer("recount")[0] == 0
    for number in range(1, 10):
        assert site.command("explain", str(number)).returncode == 0
