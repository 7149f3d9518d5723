"""The document tells of every path, for whom it is, and nothing that is not so."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from starlette.applications import Starlette
from starlette.routing import Route

from sidecar.api.dashboard.dashboard import Dashboard
from sidecar.api.endpoint import Either, Endpoint
from sidecar.api.openapi import document, operations
from sidecar.api.openapi.examples import examples
from sidecar.api.openapi.operation import Operation
from sidecar.bootstrap.server import create_app
from sidecar.settings import Settings
from tests.commands import sidecar
from tests.described import NotAsDescribed, hold_to_document
from tests.examples import asked, without_today
from tests.in_process import application
from tests.processes import ROOT

WHO = {"app_id": "a", "user_id": "u"}
READERS = ("/openapi.json", "/docs", "/metrics")


def served() -> dict[tuple[str, str], tuple[str, ...]]:
    """The roles of each method and path that the server has."""
    app = create_app(
        Settings(sidecar_policies=ROOT / "policies/platform", sidecar_store="sqlite://")
    )
    return {(method, path): roles for path, method, roles in _routes(app)}


def _routes(app: Starlette) -> list[tuple[str, str, tuple[str, ...]]]:
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for route in app.routes:
        assert isinstance(route, Route)
        if isinstance(route.endpoint, Dashboard) or route.path.startswith("/portal"):
            continue  # pages for people are no operations
        for method in (route.methods or set()) - {"HEAD"}:
            endpoint: object = route.endpoint
            if isinstance(endpoint, Either):
                endpoint = endpoint._posting if method == "POST" else endpoint._getting
            roles = endpoint._roles if isinstance(endpoint, Endpoint) else ()
            found.append((route.path, method, tuple(roles)))
    return found


def test_the_document_has_every_path_that_is_served_with_its_roles_and_no_other() -> None:
    told = {(each.method, each.path): each.roles for each in operations()}

    assert told == served()


def test_the_document_is_of_openapi_3_1() -> None:
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document())] == []


def test_every_shape_is_one_and_every_pointer_leads_to_one() -> None:
    told = document()

    for schema in told["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for pointer in set(re.findall(r"'\$ref': '#/([^']+)'", repr(told))):
        part: Any = told
        for name in pointer.split("/"):
            part = part[name]
        assert part


def test_every_shape_is_pointed_to() -> None:
    pointed = set(re.findall(r"#/components/schemas/(\w+)", repr(document())))

    assert pointed == document()["components"]["schemas"].keys()


def test_every_operation_has_a_name_of_its_own_words_and_an_example() -> None:
    entries = [entry for path in document()["paths"].values() for entry in path.values()]
    shown = {(each.method, each.route) for each in examples()}
    lacking = {each.path for each in operations() if (each.method, each.path) not in shown}

    assert len({entry["operationId"] for entry in entries}) == len(entries)
    assert all(entry["summary"] and entry["description"] for entry in entries)
    assert lacking == set(READERS)


async def test_every_example_is_what_a_server_answers() -> None:
    for example, answer, body in await asked():
        shown = without_today(example.answer)
        assert (answer.status_code, without_today(body)) == (example.status, shown), (
            f"{example.name}: `python -m tests.examples` writes what is answered"
        )


@pytest.mark.parametrize(
    "operation", [each for each in operations() if each.body], ids=lambda each: each.path
)
def test_every_body_of_an_example_is_of_the_shape_that_is_told_unless_that_is_its_point(
    operation: Operation,
) -> None:
    for example in examples():
        if (example.method, example.route) == (operation.method, operation.path):
            assert operation.body is not None
            schema = operation.body[example.media_type] | {"components": document()["components"]}
            fits = Draft202012Validator(schema).is_valid(example.body)
            assert fits is (example.name not in ("misspelt", "several")), example.name


async def test_the_document_is_for_everyone_and_the_command_prints_the_same(
    tmp_path: Path,
) -> None:
    async with application(internal_api_key="secret") as client:
        answer = await client.get("/openapi.json")

    code, printed, _ = sidecar(tmp_path, "openapi")

    assert (code, answer.status_code) == (0, 200)
    assert answer.json() == document() == json.loads(printed)


class _Page(HTMLParser):
    """Notes what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("id", "href"):
                (self.ids if name == "id" else self.links).add(value or "")


async def test_the_page_shows_every_path_runs_nothing_and_asks_nothing_of_anywhere(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/docs")
    page = _Page()
    page.feed(answer.text)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'sha"
    )
    assert all(path in answer.text for path in document()["paths"])
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "form"})
    assert page.attributes <= {"lang", "charset", "name", "content", "href", "id", "class"}
    assert {link for link in page.links if not link.startswith("#")} == {"/openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids


@pytest.mark.parametrize(
    ("status", "headers", "more", "fault"),
    [
        (200, {}, {"tokens": 1}, "'tokens' was unexpected"),
        (200, {}, {"effect": "maybe"}, "'maybe' is not one of"),
        (418, {}, {}, "the status is not described"),
        (200, {"X-Tokens": "1"}, {}, "the header 'x-tokens' is not described"),
        (200, {"Content-Type": "text/plain"}, {}, "'text/plain' is not described"),
    ],
)
async def test_an_answer_that_is_not_described_is_found(
    status: int, headers: dict[str, str], more: dict[str, Any], fault: str,
    client: httpx.AsyncClient,
) -> None:  # fmt: skip
    answer = await client.post("/v1/check", json=WHO)
    request = httpx.Request("POST", "http://localhost/v1/check")
    other = httpx.Response(status, json=answer.json() | more, headers=headers, request=request)

    with pytest.raises(NotAsDescribed, match=re.escape(fault)):
        await hold_to_document(other)
