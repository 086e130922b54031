"""The description is made of routes: each method of each path, its parameters and its shapes."""

from typing import Any

import msgspec
import pytest
from aiohttp import web
from openapi_spec_validator import validate

from web.api import shapes
from web.api.description import describe
from web.routing import ANYBODY, STAFF, Route


async def handler(_: web.Request) -> web.StreamResponse:
    raise AssertionError


ONE = "/api/v1/things/{id:[0-9]{1,18}}/parts/{part}"
ANSWER = msgspec.json.schema(shapes.AccountPage)
ROUTES = (
    Route("GET", ONE, handler, STAFF, "A part", answer=ANSWER, query=("limit", "column")),
    Route("POST", ONE, handler, STAFF, "Change a part", answer=ANSWER, takes=msgspec.json.schema(shapes.Problem)),
    Route("GET", "/api/v1/open", handler, ANYBODY, "For all", answer={"type": "object"}),
)


def described(*routes: Route) -> Any:
    made = describe(routes, "1.2.3", "cookie")
    validate(made)
    return made


def test_both_methods_of_a_path_are_described() -> None:
    made = described(*ROUTES)
    assert {path: sorted(methods) for path, methods in made["paths"].items()} == {
        "/api/v1/things/{id}/parts/{part}": ["get", "post"],
        "/api/v1/open": ["get"],
    }


def test_parameters_are_those_of_path_query_and_header() -> None:
    methods = described(*ROUTES)["paths"]["/api/v1/things/{id}/parts/{part}"]
    named = {method: [(p["name"], p["in"]) for p in said["parameters"]] for method, said in methods.items()}
    assert named == {
        "get": [("id", "path"), ("part", "path"), ("limit", "query"), ("column", "query")],
        "post": [("id", "path"), ("part", "path"), ("Idempotency-Key", "header")],
    }
    assert methods["get"]["parameters"][0]["schema"]["pattern"] == "^[0-9]{1,18}$"
    assert methods["get"]["parameters"][3]["schema"]["type"] == "array"


def test_who_may_and_what_is_refused_follow_from_the_route() -> None:
    paths = described(*ROUTES)["paths"]
    part, for_all = paths["/api/v1/things/{id}/parts/{part}"], paths["/api/v1/open"]["get"]
    assert part["get"]["security"] == [{"bearer": []}, {"cookie": []}]
    assert part["get"]["description"] == "For staff."
    assert sorted(part["get"]["responses"]) == ["200", "401", "403", "404", "422"]
    assert sorted(part["post"]["responses"]) == ["200", "400", "401", "403", "404", "409", "422"]
    assert (for_all["security"], sorted(for_all["responses"])) == ([], ["200", "422"])


def test_shapes_are_among_the_components() -> None:
    made = described(*ROUTES)
    assert {"AccountPage", "AccountAnswer", "Problem"} <= made["components"]["schemas"].keys()
    assert "$defs" not in str(made)


def test_two_shapes_of_one_name_are_a_fault() -> None:
    other = {"$ref": "#/$defs/Problem", "$defs": {"Problem": {"type": "string"}}}
    with pytest.raises(AssertionError, match="two shapes"):
        described(Route("GET", "/api/v1/x", handler, STAFF, "x", answer=other))
