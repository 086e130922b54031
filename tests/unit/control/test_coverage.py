"""Which bill a transaction is on: as the rule is written, whatever came late."""

from random import Random

import pytest

from control.billing.coverage import Coverage
from tests.bill_site import BillSite
from tests.builders import ACCOUNT, NOW


def bill_of(site: BillSite, transaction: int, answer_at: int) -> int | None:
    return Coverage.load(site.cx).bill_of(ACCOUNT, transaction, answer_at)


@pytest.mark.parametrize("seed", range(5))
def test_every_call_is_on_the_bill_that_lists_it_or_on_none(seed: int) -> None:
    rng, site = Random(seed), BillSite()
    on: dict[int, int] = {}
    answers: dict[int, int] = {}
    for period in ("2026-07", "2026-08", "2026-09", "2026-10"):
        for _ in range(rng.randrange(5)):
            at = NOW - rng.randrange(150) * 86_400_000_000
            answers[site.call(at)] = at
        for bill in site.bill_run(period):
            on |= dict.fromkeys(site.itemised(bill), bill.number)
    assert {number: bill_of(site, number, at) for number, at in answers.items()} == {
        number: on.get(number) for number in answers
    }
    assert bill_of(BillSite(), 1, 0) is None
