"""The API's own description, OpenAPI 3.1: made of the declared routes, so that it says what is served."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from mediation.feeds.problems import CONTENT_TYPE, json_response
from web.api.idempotency import HEADER, LONGEST_KEY
from web.api.shapes import Problem
from web.gate import SAFE, cookie_name
from web.routing import ANYBODY, DECLARED, Route
from web.site import Site

API: Final = "/api/v1"
PATH: Final = f"{API}/openapi.json"
WORDS: Final = {
    "column": "Column of a condition; column, op and value are repeated in step.",
    "op": "Operator of a condition.",
    "value": "Value of a condition: A..B for between, A,B,C for in, nothing for empty.",
    "sort": "Column to sort by, with - in front for the greatest first.",
    "limit": "Rows of a page.",
    "after": "Key of the page, from `next` of the one before.",
    "q": "Words that all have to be found.",
    "reason": "Why records are in suspense.",
    "account": "Number of the account.",
    "state": "States of orders, with commas between them.",
    "source": "Name of the source that the records came from.",
}
DONE: Final = {200: "Done.", 201: "Made; Location says where it is.", 202: "Taken; what follows is seen later."}
REPEATED: Final = frozenset({"column", "op", "value"})
_REFUSALS: Final = {
    "400": "The body is not JSON, or an Idempotency-Key is needed and missing.",
    "401": "Nobody is signed in, and there is no token that is in force.",
    "403": "The role may not use this, or the call came from another site.",
    "404": "There is no such thing, or it is another account's.",
    "409": "It is not in a state for that.",
    "422": "A value means nothing here; the detail says which and why.",
}
_PARAMETER: Final = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")


class Description:
    """`/api/v1/openapi.json`."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> tuple[Route, ...]:
        """What this part serves."""
        return (Route("GET", PATH, self._describe, ANYBODY, "This description", answer={"type": "object"}),)

    async def _describe(self, request: web.Request) -> web.StreamResponse:
        routes = [route for route in request.app[DECLARED].values() if route.path.startswith(API + "/")]
        return json_response(describe(routes, self._site.version, cookie_name(self._site)))


def describe(routes: Iterable[Route], version: str, cookie: str) -> dict[str, Any]:
    """The description of some routes."""
    schemas: dict[str, Any] = {}
    _hoist(msgspec.json.schema(Problem), schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, schemas)
    problem = {"content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tollkeeper",
            "version": version,
            "description": "Times are RFC 3339 in UTC, money is decimal strings, errors are problem+json (RFC 9457).",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {f"Problem{code}": {"description": words} | problem for code, words in _REFUSALS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API token: tollkeeper token add."},
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": cookie,
                    "description": "A session; calls that change something carry its form token in X-CSRF-Token.",
                },
            },
        },
    }  # fmt: skip


def _operation(route: Route, path: str, schemas: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": _operation_id(route.method, path),
        "summary": route.summary,
        "tags": [path.removeprefix(API + "/").partition("/")[0]],
        "parameters": [*_path_parameters(route.path), *map(_query_parameter, route.query)],
        "security": [{"bearer": []}, {"cookie": []}] if route.roles != ANYBODY else [],
        "responses": {
            str(route.done): {
                "description": DONE[route.done],
                "content": {"application/json": {"schema": _hoist(route.answer, schemas)}},
            }
        },
    }
    if route.roles != ANYBODY:
        said["description"] = f"For {', '.join(sorted(route.roles))}."
    if route.method not in SAFE:
        said["parameters"].append(_IDEMPOTENCY)
    if route.takes:
        body = {"application/json": {"schema": _hoist(route.takes, schemas)}}
        said["requestBody"] = {"required": True, "content": body}
    said["responses"] |= {code: {"$ref": f"#/components/responses/Problem{code}"} for code in _refusals(route)}
    return said


def _refusals(route: Route) -> list[str]:
    codes = ["422"]
    if route.roles != ANYBODY:
        codes += ["401", "403"]
    if "{" in route.path:
        codes.append("404")
    if route.method not in SAFE:
        codes += ["400", "409"]
    return sorted(codes)


def _operation_id(method: str, path: str) -> str:
    words = re.findall(r"\w+", path.removeprefix(API))
    return "_".join([method.lower(), *words])


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"} | ({"pattern": f"^{pattern}$"} if pattern else {}),
        }
        for name, pattern in _PARAMETER.findall(path)
    ]


def _query_parameter(name: str) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 500} if name == "limit" else {"type": "string"}
    said: dict[str, Any] = {"name": name, "in": "query", "schema": kind}
    if name in WORDS:
        said["description"] = WORDS[name]
    if name in REPEATED:
        said |= {"schema": {"type": "array", "items": kind}, "style": "form", "explode": True}
    return said


def _hoist(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A schema whose definitions are among the description's components."""
    for name, definition in schema.get("$defs", {}).items():
        said = _renamed(definition)
        assert schemas.setdefault(name, said) == said, f"two shapes are called {name}"
    renamed: dict[str, Any] = _renamed({key: value for key, value in schema.items() if key != "$defs"})
    return renamed


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _renamed(value)
            for key, value in schema.items()
        }
    return [_renamed(one) for one in schema] if isinstance(schema, list) else schema


_IDEMPOTENCY: Final = {
    "name": HEADER,
    "in": "header",
    "description": "A call that is sent again with the same key is answered again, and not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}
