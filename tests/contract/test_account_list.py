"""The list of accounts: what finds them, in which order, and how its pages follow each other."""

import pytest

from rating.store.account_list import AccountPage, find_accounts, lines_with_services
from tests.builders import NOW, accounts_csv, lines_csv
from tests.contract.store_site import Site

ADA, BOB, CARL = "4000012345", "4000012346", "4000099999"


@pytest.fixture
async def listed(site: Site) -> Site:
    rows = (
        f"{BOB},Bob 100% Byron,bob@example.net,EUR,Europe/Paris,12.5,standard,anna,15",
        f"{CARL},Ćarl_Byron,,USD,UTC,,standard,berta,1",
    )
    await site.store.import_accounts(accounts_csv(*rows), NOW)
    await site.store.import_lines(
        lines_csv(f"+12125550199,{BOB},Atlantic,local,,,", f"+12125550199,{BOB},Transcontinental,long-distance,,,")
    )
    return site


async def found(site: Site, words: str, after: str = "", limit: int = 50, agent: str | None = None) -> AccountPage:
    return await site.store.read(find_accounts, words, after, limit, agent)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", [ADA, BOB, CARL]),
        ("4000012", [ADA, BOB]),
        ("byron", [BOB, CARL]),
        ("BYRON example", [BOB]),
        ("anna", [BOB]),
        ("+12125550199", [BOB]),
        ("12125550199", [BOB]),
        ("12125550198", []),
        ("100%", [BOB]),
        ("%", [BOB]),
        ("l_b", [CARL]),
        ("a\\", []),
        ("ada byron", []),
    ],
)
async def test_every_word_must_be_found(listed: Site, words: str, expected: list[str]) -> None:
    page = await found(listed, words)
    assert [account.account for account in page.accounts] == expected
    assert (page.next, page.matching, page.all) == (None, len(expected), 3)


async def test_an_account_is_whole(listed: Site) -> None:
    (account,) = (await found(listed, BOB)).accounts
    assert (account.name, account.email, account.currency, account.timezone) == (
        "Bob 100% Byron", "bob@example.net", "EUR", "Europe/Paris",
    )  # fmt: skip
    assert (account.credit_limit_micros, account.agent, account.cycle_day, account.fax) == (
        12_500_000,
        "anna",
        15,
        None,
    )


@pytest.mark.parametrize("words", ["", "40000"])
async def test_pages_follow_each_other_and_count_all_that_match(listed: Site, words: str) -> None:
    first = await found(listed, words, limit=2)
    assert ([account.account for account in first.accounts], first.next) == ([ADA, BOB], BOB)
    second = await found(listed, words, after=BOB, limit=2)
    assert ([account.account for account in second.accounts], second.next) == ([CARL], None)
    assert (first.matching, second.matching) == (3, 3)


async def test_an_agent_has_the_own_accounts(listed: Site) -> None:
    page = await found(listed, "", agent="anna")
    assert [account.account for account in page.accounts] == [BOB]
    assert page.matching == 1
    assert (await found(listed, "ada", agent="anna")).accounts == []


async def test_the_lines_of_an_account_come_in_the_order_of_their_import(listed: Site) -> None:
    lines = await listed.store.read(lines_with_services, BOB)
    assert [(line.line, line.service, line.provider) for line in lines] == [
        ("12125550199", "local", "Atlantic"),
        ("12125550199", "long-distance", "Transcontinental"),
    ]
    assert await listed.store.read(lines_with_services, CARL) == []


async def test_how_many_there_are_is_taken_as_it_is_known(listed: Site) -> None:
    page = await listed.store.read(find_accounts, "", "", 1, None, 7)
    assert (len(page.accounts), page.matching, page.all) == (1, 7, 7)
    page = await listed.store.read(find_accounts, "bob", "", 1, None, 7)
    assert (page.matching, page.all) == (1, 7)
