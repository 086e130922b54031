"""Who may see and do what, asked of every route there is: from the router, so that none is forgotten.

What is not one's own looks exactly like what does not exist.
"""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from mediation.daemon import wall_clock
from tests.bills_by_hand import issue_bill, some_charges
from tests.integration.control_plane import NOBODYS, OURS, PEOPLE, THEIRS, Plane, filled, serving
from tests.small_site import line
from tests.test_tidy import clean
from web.request import SITE
from web.routing import ANYBODY, DECLARED, OPERATIONS

NOT_OWNED: Final = {
    "/static/{name}": "the same file for everybody",
    "/account/sessions/{id}": "the own user's sessions; the test of another's is below",
}
"""Paths with a parameter that names nothing of an account, and why."""
WITHIN: Final = {"account": ("entry",)}
"""What is named within an owned object, and looked up as that one's."""
PROVIDERS_OWN: Final = re.compile(r"(/api/v1)?/(suspense|feeds|account-events|monitor|orders|access-orders)/")
"""What belongs to the provider: nobody but staff and operations may see it at all."""


@pytest.fixture
async def plane(site: Path) -> AsyncIterator[Plane]:
    async with serving(site) as plane:
        await present(plane)
        yield plane


async def present(plane: Plane) -> None:
    """An invoice of each account; its customers are enrolled, so that they see it."""
    ledger, enrolments = plane.parts.acting.room.ledger, plane.application[SITE].enrolments
    for number in (OURS, THEIRS):
        await issue_bill(plane.parts.store, ledger, wall_clock(), some_charges(5_000_000, number))
        await enrolments.enrol(number, "a test")


def objects(plane: Plane) -> dict[str, tuple[str, str, str]]:
    """Of each kind that a route can own: one of OURS, one of THEIRS, and one that is not there."""
    ours, theirs = plane.transaction_of(OURS), plane.transaction_of(THEIRS)
    gone = str(int(theirs) + 5)
    assert len(gone) == len(theirs)
    (bills,) = zip(*plane.rows("SELECT number FROM bills ORDER BY account"), strict=True)
    return {
        "account": (OURS, THEIRS, NOBODYS),
        "transaction": (ours, theirs, gone),
        "invoice": (str(bills[0]), str(bills[1]), "7"),
    }


async def credentials(plane: Plane, name: str, path: str) -> list[dict[str, str]]:
    """All ways in which somebody may say who they are."""
    ways = [await plane.session(name)]
    if path.startswith("/api/"):
        ways.append({"Authorization": f"Bearer {plane.keys[name]}"})
    return ways


def barred(path: str) -> int:
    """Status for a role that has no business there, whatever the path names: the API is documented, and may say so."""
    return 403 if path.startswith("/api/") else 404


async def test_what_is_anothers_looks_like_what_is_not_there(plane: Plane) -> None:
    places, seen = [], set()
    known = objects(plane)
    for route, path in plane.routes():
        if not route.owned:
            continue
        assert route.owned in known, f"{path}: say in objects() how a test comes by an object of kind {route.owned}"
        ours, theirs, gone = known[route.owned]
        for person in PEOPLE:
            for headers in await credentials(plane, person.name, path):
                missing = await plane.ask(route.method, filled(path, **{route.owned: gone}), headers)
                if missing.status != (404 if person.role in route.roles else barred(path)):
                    places.append(f"{route.method} {path}: {person.name} gets {missing.status} for what is not there")
                for number, whose in ((ours, OURS), (theirs, THEIRS)):
                    answer = await plane.ask(route.method, filled(path, **{route.owned: number}), headers)
                    if person.role in route.roles and whose in person.sees:
                        seen.add((route.owned, person.name))
                        if answer.status in (403, 404):
                            places.append(f"{route.method} {path}: {person.name} may, and gets {answer.status}")
                    elif answer.looks != missing.looks:
                        places.append(f"{route.method} {path}: {person.name} can tell that {number} is there")
    clean(places)
    assert seen >= {
        ("account", "stella"), ("account", "agnes"), ("transaction", "stella"), ("transaction", "carol"),
        ("transaction", "carl"),
    }  # fmt: skip


async def test_a_parameter_of_a_path_says_whose_it_names(plane: Plane) -> None:
    places, paths = [], set()
    for route, path in plane.routes():
        paths.add(path)
        names = re.findall(r"\{(\w+)\}", path)
        if route.owned and names not in ([route.owned], [route.owned, *WITHIN.get(route.owned, ())]):
            places.append(f"{path}: owned={route.owned!r}, but its parameters are {names}")
        if not names or route.owned or path in NOT_OWNED:
            continue
        if not PROVIDERS_OWN.match(path):
            places.append(f"{path}: neither `owned`, nor in NOT_OWNED with a reason")
        elif not ANYBODY < route.roles <= OPERATIONS:
            places.append(f"{path}: the provider's own, and open to {', '.join(sorted(route.roles)) or 'anybody'}")
    clean(places)
    assert NOT_OWNED.keys() <= paths, f"gone: {NOT_OWNED.keys() - paths}"


async def test_every_route_of_the_router_is_declared(plane: Plane) -> None:
    router, declared = plane.application.router, plane.application[DECLARED]
    clean([f"{route.method} {route.resource}: not declared" for route in router.routes() if route not in declared])
    assert len(declared) > 15


async def test_a_route_is_not_there_for_other_roles(plane: Plane) -> None:
    places, refused = [], 0
    known = {kind: some[0] for kind, some in objects(plane).items()}
    for route, path in plane.routes():
        for person in PEOPLE:
            if route.roles == ANYBODY or person.role in route.roles:
                continue
            for headers in await credentials(plane, person.name, path):
                answer = await plane.ask(route.method, filled(path, **known), headers)
                refused += 1
                if answer.status != barred(path):
                    places.append(f"{route.method} {path}: {answer.status} for {person.role}")
    clean(places)
    assert refused > 30


async def test_what_is_there_for_a_role_is_what_its_route_says(plane: Plane) -> None:
    """Pages open for whom they are meant: else refusing everybody everything would pass."""
    places = []
    known = {kind: some[0] for kind, some in objects(plane).items()}
    for route, path in plane.routes():
        if route.method != "GET" or (re.search(r"\{", path) and not route.owned):
            continue
        for person in PEOPLE:
            if person.role not in route.roles or OURS not in person.sees:
                continue
            answer = await plane.ask("GET", filled(path, **known), await plane.session(person.name))
            if answer.status != 200:
                places.append(f"{path}: {answer.status} for {person.role}: {answer.text[:200]}")
    clean(places)


async def test_a_stranger_is_sent_to_the_sign_in_or_told_so(plane: Plane) -> None:
    places = []
    for route, path in plane.routes():
        if route.roles == ANYBODY:
            continue
        where = filled(path)
        for headers in ({}, {"Cookie": plane.cookie("x" * 43)}):
            answer = await plane.ask(route.method, where, headers)
            if path.startswith("/api/"):
                fine = answer.status == 401 and answer.headers.get("WWW-Authenticate", "").startswith("Bearer")
            else:
                back = answer.headers.get("Location", "")
                asked = f"/login?next={where}" if route.method == "GET" else "/login"
                fine = (
                    answer.status == 303 and back in (asked, "/login") and not answer.headers.getall("Set-Cookie", [])
                )
            if not fine:
                places.append(f"{route.method} {path}: {answer.status} {answer.headers.get('Location')}")
    clean(places)


@pytest.mark.parametrize("scheme", ["Bearer nonsense", "Bearer ", "Basic c3RlbGxhOngK", "Bearer tk_"])
async def test_a_wrong_token_is_not_made_good_by_a_session(plane: Plane, scheme: str) -> None:
    """A program that sends a token means that token; and on pages a token is nothing."""
    session = await plane.session("stella")
    paths = {path for route, path in plane.routes() if path.startswith("/api/") and route.roles != ANYBODY}
    statuses = {(await plane.ask("GET", filled(path), session | {"Authorization": scheme})).status for path in paths}
    assert statuses <= {401, 405}
    page = await plane.ask("GET", "/live", {"Authorization": f"Bearer {plane.keys['stella']}"})
    assert page.status == 303


async def test_a_session_of_another_cannot_be_ended_or_told_from_none(plane: Plane) -> None:
    await plane.session("carl")
    ((theirs,),) = plane.rows("SELECT max(id) FROM sessions")
    carol = await plane.session("carol")
    with plane.changes() as changed:
        answer = await plane.ask("POST", f"/account/sessions/{theirs}", carol)
        missing = await plane.ask("POST", f"/account/sessions/{theirs + 7}", carol)
    assert answer.status == 404
    assert answer.looks == missing.looks
    assert changed == [False]


async def test_a_customers_search_never_leaves_the_own_account(plane: Plane) -> None:
    carol = await plane.session("carol")
    ours, theirs = plane.transaction_of(OURS), plane.transaction_of(THEIRS)
    everything = await plane.ask("GET", "/transactions.json", carol)
    assert [row["account"] for row in map(json.loads, everything.text.splitlines())] == [OURS]
    for column, op, value in (("account", "=", THEIRS), ("account", "!=", OURS), ("line", "=", line(1))):
        query = urlencode({"column": column, "op": op, "value": value})
        for path in ("/transactions", "/transactions.csv", "/transactions.json", "/api/v1/transactions"):
            answer = await plane.ask("GET", f"{path}?{query}", carol)
            assert answer.status in (200, 422), query
            assert f"/transactions/{theirs}" not in answer.text, query
            assert f'"transaction":{theirs}' not in answer.text.replace(" ", ""), query
            assert path == "/transactions" or f"{theirs}," not in answer.text, query
    assert f"/transactions/{ours}" in (await plane.ask("GET", "/transactions", carol)).text


async def test_an_agents_search_never_leaves_the_own_accounts(plane: Plane) -> None:
    agnes = await plane.session("agnes")
    everything = await plane.ask("GET", "/agent/accounts", agnes)
    assert f"/agent/accounts/{OURS}" in everything.text
    for column, op, value in (
        ("account", "=", THEIRS), ("account", "!=", OURS), ("line", "=", line(1)), ("name", "contains", "Customer"),
        ("status", "=", "in order"), ("owed", ">=", "0"), ("enrolment", "=", "not enrolled"),
    ):  # fmt: skip
        query = urlencode({"column": column, "op": op, "value": value, "after": ""})
        answer = await plane.ask("GET", f"/agent/accounts?{query}", agnes)
        assert answer.status == 200, query
        assert f"/agent/accounts/{THEIRS}" not in answer.text, query
        assert "of 1 accounts" in answer.text, query


async def test_an_agent_reads_of_the_own_accounts_enrolments_and_invoices_only(plane: Plane) -> None:
    ours, theirs, _ = objects(plane)["invoice"]
    agnes = await plane.session("agnes")
    for path in ("/agent/notices", f"/agent/accounts/{OURS}"):
        answer = await plane.ask("GET", path, agnes)
        assert OURS in answer.text, path
        assert THEIRS not in answer.text, path
        assert f"/invoices/{theirs}" not in answer.text, path
    assert f"/invoices/{ours}" in answer.text


async def test_a_customers_options_are_the_own_accounts_whatever_is_sent(plane: Plane) -> None:
    carol = await plane.session("carol")
    for path in ("/payment-options", "/payment-options/bank"):
        form = {
            "csrf": carol["X-CSRF-Token"], "choice": "paper", "account": THEIRS,
            "holder": "Carol", "routing": "021000021", "number": "123456789",
        }  # fmt: skip
        assert (await plane.ask("POST", f"{path}?account={THEIRS}", carol, **form)).status == 303
    assert plane.rows("SELECT account FROM enrolments WHERE enrolled = 0") == [(OURS,)]
    assert plane.rows("SELECT account FROM bank_details") == [(OURS,)]
