"""Charges that depend on use, on the real store: applied in the order of the commits, exactly once, and explained."""

from fractions import Fraction
from random import Random
from typing import Any

import pytest

from mediation.pipeline.recycling import Selection
from rating.explaining import explain, stored_rater, tariff_of
from rating.provisioning import ProvisioningError
from rating.store import allowances
from rating.store.allowances import Allowances
from rating.store.provisioning import get_tariff
from rating.store.reading import exporter
from rating.store.reductions import Taken, gross_of, reductions_of, use_differences
from rating.store.transactions import find_by_id
from rating.tariff import parse_tariff
from tests.builders import ACCOUNT, CALLING, NOW, a_tariff_text, accounts_csv, cdr_json, lines_csv, micros
from tests.contract.store_site import Site
from tests.contract.test_recycling import Desk
from tests.naive_allowances import NaiveLife

DECK = ("4420,London,,0,0.05,0.01,1,1/1",)
NINETY_SECONDS = '[[allowance]]\nname = "free"\nper = "bill-cycle"\nminutes = "1.5"\nconnect_fee = "free"\n'
VOLUME = '[[discount]]\nname = "volume"\nper = "month"\non = "charges"\nsteps = [{above = "1.00", percent = "10"}]\n'
FAMILY = '[[favourites]]\nname = "family"\nnumbers = 1\npercent = "50"\n'
STRANGER = "+19995550100"


def a_call(n: int, duration: int = 60, **fields: Any) -> bytes:
    return cdr_json(**{"id": f"c{n}", "start": "2026-11-20T14:07:31Z", "duration": duration} | fields)


async def use(site: Site, toml: str = NINETY_SECONDS, *, name: str = "standard") -> int:
    """Rate by these rules from now on."""
    number = await site.import_tariff(a_tariff_text(name, *DECK, toml=toml))
    await site.follow()
    return number


async def charges(site: Site) -> list[str]:
    """In the order of the transactions."""
    return [line["charge"] for line in sorted(await site.exported(), key=lambda line: line["transaction"])]


async def checked(site: Site) -> None:
    """The uses are the sum of what was taken off, and every charge is explained by what was."""
    assert await site.store.read(use_differences) == []
    for line in await site.exported():
        explained = await site.store.read(_explained, line["transaction"])
        assert explained.agrees, explained


def _explained(cx: Any, number: int) -> Any:
    row = find_by_id(cx, number)
    assert row is not None
    tariff = tariff_of(row)
    assert tariff is not None
    return explain(row, exporter(cx)(tuple(row)), stored_rater(cx, tariff), reductions_of(cx, number))


async def test_an_allowance_is_used_up_in_the_order_of_the_commits(site: Site) -> None:
    await use(site)
    first, second, third = (site.batch(a_call(n)) for n in range(3))
    await site.commit(second)
    await site.commit(third, first)
    assert [line["id"] for line in await site.exported()] == ["c1", "c2", "c0"]
    assert await charges(site) == ["0.0000", "0.3000", "0.6500"]  # covered: 60 s and the fee, 30 s and the fee, nothing
    await checked(site)


async def test_what_comes_again_uses_nothing(site: Site) -> None:
    await use(site)
    assert await site.send(a_call(1), a_call(1)) == (1, 1, 0)
    assert await site.send(a_call(1)) == (0, 1, 0)
    assert await site.send(a_call(1, 61)) == (0, 0, 1)
    await site.reopen()
    assert await site.send(a_call(1)) == (0, 1, 0)
    assert await site.send(a_call(2)) == (1, 0, 0)
    assert await charges(site) == ["0.0000", "0.3000"]
    await checked(site)


async def test_a_late_record_counts_in_the_window_of_its_answer(site: Site) -> None:
    await use(site)
    await site.send(a_call(1, 90), a_call(2, 90, start="2026-10-20T14:07:31Z"), a_call(3, 90))
    assert await charges(site) == ["0.0000", "0.0000", "0.9500"]  # October's partition is written first
    await checked(site)


async def test_a_store_transaction_that_came_to_nothing_has_used_nothing(site: Site) -> None:
    await use(site)
    batch = site.batch(a_call(1), a_call(2))

    def fail(_cx: object, _rows: object) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await site.store.write(lambda: [batch], fail)
    await site.send(a_call(3), a_call(4))
    assert await charges(site) == ["0.0000", "0.3000"]
    await checked(site)


async def test_versions_of_a_tariff_share_the_use_of_a_rule(site: Site) -> None:
    await use(site)
    await site.send(a_call(1))
    await use(site, NINETY_SECONDS.replace("1.5", "2"))
    await site.send(a_call(2), a_call(3))
    assert await charges(site) == ["0.0000", "0.0000", "0.6500"]
    await checked(site)


async def test_a_charge_is_explained_by_what_each_rule_took_off(site: Site) -> None:
    await use(site, NINETY_SECONDS + FAMILY + VOLUME)
    await site.store.import_favourites(f"account,number\n{ACCOUNT},+442079460018\n")
    await site.follow()
    await site.send(a_call(1, 300), a_call(2, 95))
    explained = await site.store.read(_explained, 2)
    assert explained.explanation["gross"] == "1.0000"
    assert explained.explanation["charge"] == explained.transaction["charge"] == "0.4500"
    assert explained.explanation["reductions"] == [
        {
            "kind": "favourites", "rule": "family", "since": None, "measure": "calls", "used": 1, "percent": "50",
            "amount": "0.5",
        },
        {
            "kind": "discount", "rule": "volume", "since": "2026-11-01T04:00:00Z", "measure": "charges",
            "used": "0.4500", "percent": "10", "amount": "0.05",
        },
    ]  # fmt: skip
    assert await site.store.read(gross_of, [1, 2, 3]) == {1: 3_050_000, 2: 1_000_000}
    await checked(site)


async def test_a_tampered_use_is_found(site: Site) -> None:
    await use(site)
    await site.send(a_call(1))
    await site.store.transact(lambda cx: cx.execute("UPDATE allowance_state SET used = '61'").rowcount)
    (difference,) = await site.store.read(use_differences)
    assert "free from 1793505600000000: seconds counted 61, recounted 60" in difference
    await site.store.transact(lambda cx: cx.execute("UPDATE allowance_state SET used = '60'").rowcount)


async def test_a_reversal_gives_back_what_was_used_in_its_window(site: Site) -> None:
    await use(site, NINETY_SECONDS + VOLUME)
    await site.send(a_call(1, start="2026-10-20T14:07:31Z"), a_call(2), a_call(3))
    before = await site.store.read(reductions_of, 2)
    await site.store.transact(lambda cx: Allowances().give_back(cx, {2: 70, 3: 71, 99: 72}))
    assert [*map(_undone, before)] == await site.store.read(reductions_of, 70)
    used = await site.store.read(
        lambda cx: cx.execute("SELECT kind, window_at, used FROM allowance_state ORDER BY id").fetchall()
    )
    assert used == [
        ("allowance", micros("2026-10-01T04:00:00Z"), "60"), ("discount", micros("2026-10-01T04:00:00Z"), "0"),
        ("allowance", micros("2026-11-01T04:00:00Z"), "0"), ("discount", micros("2026-11-01T04:00:00Z"), "0"),
    ]  # fmt: skip
    assert await site.store.read(use_differences) == []


def _undone(taken: Taken) -> Taken:
    amount = str(-Fraction(taken.amount)) if taken.amount == "0" else f"-{taken.amount}"
    return Taken(
        taken.kind, taken.rule, taken.measure, taken.window_at, -taken.used, taken.percent, amount, -taken.gross_micros
    )


async def test_what_comes_out_of_suspense_uses_the_allowance_too(site: Site) -> None:
    await use(site)
    batch = site.batch(a_call(1), a_call(2, calling=STRANGER), a_call(3, calling=STRANGER))
    await site.commit(batch)
    await site.store.import_lines(lines_csv(f"{STRANGER},{ACCOUNT},Transcontinental,long-distance,,,"))
    await site.follow()
    desk = Desk(site)
    await desk.recycler.recycle(Selection(), "staff:ada")
    assert await charges(site) == ["0.0000", "0.3000", "0.6500"]
    await checked(site)


@pytest.mark.parametrize("seed", range(5))
async def test_a_random_life_is_charged_as_a_naive_reckoning_says(
    site: Site, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)
    monkeypatch.setattr(allowances, "MOST_STATES", random.choice((0, 1, 200_000)))
    rules: dict[str, list[dict[str, Any]]] = {
        "allowance": [{"name": "free", "per": "bill-cycle", "minutes": "1.5", "connect_fee": "free"}],
        "discount": [
            {"name": "volume", "per": "month", "on": "charges", "steps": [{"above": "1.00", "percent": "10"}]}
        ],
    }
    rates = {
        "steps": [{"after": 0, "rate": "0.01", "per": 1, "first": 1, "next": 1}], "connect": Fraction("0.05"),
        "least": None, "most": None, "decimals": 4, "rounding": "half-up",
    }  # fmt: skip
    await use(site, NINETY_SECONDS + VOLUME)
    sent: list[bytes] = []
    for n in range(60):
        months = ("2026-11-20T14:07:31Z", "2026-10-20T14:07:31Z")
        sent.append(a_call(n, random.randint(1, 90), start=random.choice(months)))
        again = [random.choice(sent) for _ in range(random.randint(0, 2))]
        await site.send(*sent[-random.randint(1, 4) :], *again)
        if random.random() < 0.1:
            await site.reopen()
    naive = NaiveLife(rates, rules)
    for line in sorted(await site.exported(), key=lambda line: line["transaction"]):
        window = {"month": line["answer"][:7].replace("-", ""), "bill-cycle": line["answer"][:7].replace("-", "")}
        call = {
            "seconds": line["duration"], "service": "long-distance", "destination": "London", "type": "direct",
            "window": window, "favourite": False,
        }  # fmt: skip
        assert Fraction(line["charge"]) == naive.charge(call).charge, line
    assert len(naive.past) == 60
    await checked(site)


class TestConversion:
    """A tariff in another currency than accounts."""

    RATES = '[conversion]\nEUR = "0.5"\n'

    async def test_a_charge_is_in_the_accounts_currency_and_says_so(self, site: Site) -> None:
        await site.store.import_accounts(accounts_csv(f"{ACCOUNT},Ada,,EUR,UTC,,standard,,1"), NOW)
        await site.follow()
        assert await site.send(a_call(1)) == (0, 0, 1)
        number = await use(site, self.RATES)
        assert await site.send(a_call(2)) == (1, 0, 0)
        (line,) = await site.exported()
        assert (line["charge"], line["currency"], line["tariff"]) == ("0.3250", "EUR", "standard")
        explained = await site.store.read(_explained, 1)
        assert explained.explanation["conversion"] == {"from": "USD", "to": "EUR", "rate": "0.5"}
        assert await site.store.import_tariff(*await self.same(site, number), NOW) == number
        await checked(site)

    async def same(self, site: Site, number: int) -> tuple[Any, Any]:
        text = await site.store.read(get_tariff, number + 1)
        return text, parse_tariff(text)

    async def test_a_version_without_a_conversion_takes_it_away(self, site: Site) -> None:
        await site.store.import_accounts(accounts_csv(f"{ACCOUNT},Ada,,EUR,UTC,,standard,,1"), NOW)
        await use(site, self.RATES)
        await use(site, "")
        await site.send(a_call(1))
        assert [reason for reason, _ in await site.suspended()] == ["no-conversion"]

    async def test_the_version_in_force_at_the_answer_says_the_rate(self, site: Site) -> None:
        await site.store.import_accounts(accounts_csv(f"{ACCOUNT},Ada,,EUR,UTC,,standard,,1"), NOW)
        await use(site, self.RATES)
        await use(site, 'valid_from = "2026-11-01"\n' + self.RATES.replace("0.5", "2"))
        await site.send(a_call(1), a_call(2, start="2026-10-20T14:07:31Z"))
        assert sorted(await charges(site)) == ["0.3250", "1.3000"]
        await checked(site)

    async def test_steps_in_money_are_passed_in_the_accounts_currency(self, site: Site) -> None:
        await site.store.import_accounts(accounts_csv(f"{ACCOUNT},Ada,,EUR,UTC,,standard,,1"), NOW)
        await use(site, VOLUME + self.RATES)
        await site.send(a_call(1, 95), a_call(2, 5), a_call(3, 95))  # 0.50 EUR is 1.00 USD: not above it
        assert await charges(site) == ["0.5000", "0.0500", "0.4500"]
        await checked(site)

    async def test_an_account_with_lines_of_several_tariffs_is_charged_in_its_own_currency(self, site: Site) -> None:
        await site.store.import_accounts(accounts_csv(f"{ACCOUNT},Ada,,EUR,UTC,,standard,,1"), NOW)
        await site.store.import_lines(
            lines_csv(f"+{CALLING},{ACCOUNT},Other,long-distance,,dear,", f"+1617,{ACCOUNT},Third,local,,,")
        )
        await site.import_tariff(a_tariff_text("dear", "44,UK,,0,1,0,1,1/1", currency="EUR"))
        await use(site, self.RATES)
        await site.send(a_call(1), a_call(2, calling="+1617"))
        assert [(line["provider"], line["charge"], line["currency"]) for line in await site.exported()] == [
            ("Other", "1.0000", "EUR"), ("Third", "0.3250", "EUR"),
        ]  # fmt: skip


class TestFavourites:
    """favourites.csv, into the store."""

    async def test_the_numbers_of_a_named_account_are_those_of_the_file_alone(self, site: Site) -> None:
        await site.store.import_accounts(accounts_csv("1,A,,USD,UTC,,,,1", "2,B,,USD,UTC,,,,1"), NOW)
        assert await site.store.import_favourites("account,number\n1,+442079460018\n2,+33123\n1,+44123\n") == 3
        assert await site.store.import_favourites("account,number\n1,44999\n") == 1
        provisioned = await site.store.provisioned()
        assert provisioned.favourites == {"1": ("44999",), "2": ("33123",)}
        assert await site.store.import_favourites("account,number\n1,\n") == 0
        assert (await site.store.provisioned()).favourites == {"2": ("33123",)}

    async def test_a_bad_file_is_refused_whole_and_by_row(self, site: Site) -> None:
        with pytest.raises(ProvisioningError) as refused:
            await site.store.import_favourites(
                f"account,number\n{ACCOUNT},+4412\n77,+4413\n{ACCOUNT},x\n{ACCOUNT},4412\n"
            )
        assert [(error.row, error.column) for error in refused.value.errors] == [
            (3, "account"),
            (4, "number"),
            (5, "number"),
        ]
        assert (await site.store.provisioned()).favourites == {}

    async def test_only_so_many_are_taken(self, site: Site) -> None:
        rows = "".join(f"{ACCOUNT},{44_100 + n}\n" for n in range(101))
        with pytest.raises(ProvisioningError, match="more than 100"):
            await site.store.import_favourites(f"account,number\n{rows}")


def test_a_batch_of_an_ordinary_tariff_has_no_parts(site: Site) -> None:
    assert site.batch(a_call(1)).parts == {}
