"""The API's description: valid, of exactly what is served, and true of the answers."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from control.users import Role
from tests.integration.invoice_site import bill_everybody
from tests.integration.web_control import EVENT, acted_on
from tests.integration.web_site import ADA, WebSite, opened
from web.routing import DECLARED

GETS = (
    ("/api/v1/transactions", "/api/v1/transactions"),
    ("/api/v1/transactions?column=charge&op=%3E&value=1&limit=1", "/api/v1/transactions"),
    ("/api/v1/transactions/1", "/api/v1/transactions/{transaction}"),
    ("/api/v1/accounts", "/api/v1/accounts"),
    ("/api/v1/accounts?q=ada&limit=1", "/api/v1/accounts"),
    (f"/api/v1/accounts/{ADA}", "/api/v1/accounts/{account}"),
    (f"/api/v1/accounts/{ADA}/lines", "/api/v1/accounts/{account}/lines"),
    ("/api/v1/suspense", "/api/v1/suspense"),
    ("/api/v1/suspense/3", "/api/v1/suspense/{id}"),
    ("/api/v1/suspense/5", "/api/v1/suspense/{id}"),
    (f"/api/v1/accounts/{ADA}/payments", "/api/v1/accounts/{account}/payments"),
    (f"/api/v1/accounts/{ADA}/enrolment", "/api/v1/accounts/{account}/enrolment"),
    (f"/api/v1/invoices?account={ADA}", "/api/v1/invoices"),
    ("/api/v1/invoices/2", "/api/v1/invoices/{invoice}"),
    ("/api/v1/account-events", "/api/v1/account-events"),
    ("/api/v1/account-events/1", "/api/v1/account-events/{event}"),
    ("/api/v1/firings", "/api/v1/firings"),
    ("/api/v1/access-orders", "/api/v1/access-orders"),
    ("/api/v1/alerts", "/api/v1/alerts"),
    ("/api/v1/feeds", "/api/v1/feeds"),
    ("/api/v1/session", "/api/v1/session"),
    ("/api/v1/users", "/api/v1/users"),
    ("/api/v1/audit", "/api/v1/audit"),
    ("/api/v1/openapi.json", "/api/v1/openapi.json"),
)


ACCOUNT = f"/api/v1/accounts/{ADA}"
POSTS = (
    ("/api/v1/account-events", EVENT, "/api/v1/account-events", "201"),
    ("/api/v1/account-events/1/pause", None, "/api/v1/account-events/{event}/pause", "200"),
    (f"{ACCOUNT}/payments", {"amount": "0.50"}, "/api/v1/accounts/{account}/payments", "202"),
    (f"{ACCOUNT}/credits", {"amount": "0.50", "reason": "goodwill"}, "/api/v1/accounts/{account}/credits", "201"),
    (f"{ACCOUNT}/restore", {"reason": "by mistake"}, "/api/v1/accounts/{account}/restore", "202"),
)
WITHOUT_BODY = re.compile(r"delete|post .*/(pause|resume|retry)")
"""Unsafe calls of which the path says everything."""


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[WebSite]:
    async with opened(tmp_path) as site:
        await acted_on(site)
        await bill_everybody(site)
        yield site


async def described(web: WebSite) -> Any:
    visitor = await web.visitor()
    return await visitor.json("/api/v1/openapi.json")


def check(description: Any, schema: Any, answer: Any) -> None:
    resource = Resource(contents=description, specification=DRAFT202012)
    whole = {"$ref": "urn:api" + schema["$ref"]} if "$ref" in schema else schema
    Draft202012Validator(whole, registry=Registry().with_resource("urn:api", resource)).validate(answer)


async def test_it_is_a_valid_openapi_description(web: WebSite) -> None:
    description = await described(web)
    assert description["openapi"].startswith("3.1")
    validate(description)
    ids = [said["operationId"] for path in description["paths"].values() for said in path.values()]
    assert len(ids) == len(set(ids))
    assert all(said["summary"] for path in description["paths"].values() for said in path.values())


async def test_what_is_served_is_described_and_the_other_way_round(web: WebSite) -> None:
    described_calls = {
        (method.upper(), path) for path, methods in (await described(web))["paths"].items() for method in methods
    }
    served = {
        (route.method, route.resource.canonical)
        for route in web.application.router.routes()
        if route.resource and route.resource.canonical.startswith("/api/") and route.method != "HEAD"
    }
    assert described_calls == served


async def test_every_route_that_is_served_is_declared(web: WebSite) -> None:
    declared = web.application[DECLARED]
    assert {route for route in web.application.router.routes() if route.method != "HEAD"} <= declared.keys()


@pytest.mark.parametrize(("path", "described_as"), GETS)
async def test_answers_are_as_described(web: WebSite, path: str, described_as: str) -> None:
    description = await described(web)
    staff = await web.program(Role.STAFF)
    answer = await staff.json(path)
    said = description["paths"][described_as]["get"]["responses"]["200"]
    check(description, said["content"]["application/json"]["schema"], answer)


@pytest.mark.parametrize(("path", "body", "described_as", "status"), POSTS)
async def test_what_was_done_is_answered_as_described(
    web: WebSite, path: str, body: object, described_as: str, status: str
) -> None:
    description = await described(web)
    staff = await web.program(Role.STAFF)
    answer = await staff.send(path, b"" if body is None else body, status=int(status))
    said = description["paths"][described_as]["post"]["responses"][status]
    check(description, said["content"]["application/json"]["schema"], answer)


async def test_a_payment_on_an_invoice_is_answered_as_described(web: WebSite) -> None:
    description = await described(web)
    ada = await web.program(Role.CUSTOMER, ADA)
    answer = await ada.send("/api/v1/invoices/2/payments", {}, status=202, **{"Idempotency-Key": "k"})
    said = description["paths"]["/api/v1/invoices/{invoice}/payments"]["post"]["responses"]["202"]
    check(description, said["content"]["application/json"]["schema"], answer)
    seen = description["paths"]["/api/v1/invoices/{invoice}"]["get"]["responses"]["200"]
    check(description, seen["content"]["application/json"]["schema"], await ada.json("/api/v1/invoices/2"))


async def test_every_read_is_among_those_that_are_compared(web: WebSite) -> None:
    description = await described(web)
    reads = {path for path, methods in description["paths"].items() if "get" in methods}
    assert reads == {described_as for _, described_as in GETS}


async def test_a_schema_refuses_what_is_none_of_it(web: WebSite) -> None:
    description = await described(web)
    schema = description["paths"]["/api/v1/accounts/{account}"]["get"]["responses"]["200"]["content"]
    with pytest.raises(Exception, match="required property"):
        check(description, schema["application/json"]["schema"], {"account": ADA})


async def test_refusals_are_problems_as_described(web: WebSite) -> None:
    description = await described(web)
    problem = {"$ref": "#/components/schemas/Problem"}
    staff, nobody = await web.program(Role.STAFF), await web.visitor()
    for visitor, path, status in (
        (nobody, "/api/v1/session", 401),
        (staff, "/api/v1/accounts/1", 404),
        (staff, "/api/v1/nothing", 404),
        (staff, "/api/v1/suspense?limit=0", 422),
    ):
        answer = await visitor.client.get(path)
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        check(description, problem, json.loads(await answer.read()))


async def test_unsafe_calls_take_an_idempotency_key_and_say_what_they_take(web: WebSite) -> None:
    for path, methods in (await described(web))["paths"].items():
        for method, said in methods.items():
            if method != "get":
                assert "Idempotency-Key" in {parameter["name"] for parameter in said["parameters"]}
                if WITHOUT_BODY.match(f"{method} {path}"):
                    assert "requestBody" not in said
                else:
                    assert said["requestBody"]["content"]["application/json"]["schema"]


async def test_parameters_of_paths_are_described(web: WebSite) -> None:
    for path, methods in (await described(web))["paths"].items():
        for said in methods.values():
            named = {parameter["name"] for parameter in said["parameters"] if parameter["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
