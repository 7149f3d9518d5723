"""Is an answer what the document says of it? Every answer that the API's tests get is asked."""

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import jsonschema
from starlette.routing import compile_path

from sidecar.api.openapi import document, operations
from sidecar.api.openapi.operation import Operation


class NotAsDescribed(AssertionError):
    """An answer that a reader of the document could not expect."""


async def hold_to_document(response: httpx.Response) -> None:
    """Return if an answer is described, to its last member.

    Raises:
        NotAsDescribed: it is not.
    """
    await response.aread()
    operation = operation_of(response.request.method, response.request.url.path)
    if operation is None:
        return  # no path, or no method, that is served
    faults = list(_faults(operation, response))
    if faults:
        told = f"{operation.method} {operation.path} {response.status_code} {response.text[:2000]}"
        raise NotAsDescribed(f"{told}: {'; '.join(faults)}")


def operation_of(method: str, path: str) -> Operation | None:
    """The entry of a request, None for what is not served."""
    for operation in operations_by_path():
        if operation[0].fullmatch(path) and operation[1].method == method:
            return operation[1]
    return None


@cache
def operations_by_path() -> list[tuple[re.Pattern[str], Operation]]:
    """Every entry with what its path matches."""
    return [(compile_path(each.path)[0], each) for each in operations()]


def _faults(operation: Operation, response: httpx.Response) -> Iterator[str]:
    entry = document()["paths"][operation.path.replace(":path", "")][operation.method.lower()]
    described = entry["responses"].get(str(response.status_code))
    if described is None:
        yield "the status is not described"
        return
    media_type = response.headers.get("content-type", "")
    if media_type not in described["content"]:
        yield f"{media_type!r} is not described"
        return
    known = {name.lower() for name in described["headers"]} | _OF_HTTP
    for name in response.headers.keys() - known - _OF_THE_PAGE:
        yield f"the header {name!r} is not described"
    if media_type.endswith(("/json", "+json")):
        name = f"{operation.method} {operation.path} {response.status_code} {media_type}"
        for error in _validator(name).iter_errors(response.json()):
            yield _in_words(error)


_OF_HTTP = {"content-type", "content-length", "date", "connection"}
_OF_THE_PAGE = {"content-security-policy", "x-content-type-options", "referrer-policy"}


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    """What checks the body of one answer; an object may have no members beside those described."""
    method, path, status, media_type = name.split(" ", 3)
    closed = closed_document()
    entry = closed["paths"][path.replace(":path", "")][method.lower()]
    schema = entry["responses"][status]["content"][media_type]["schema"]
    return jsonschema.Draft202012Validator(
        {**schema, "components": closed["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


@cache
def closed_document() -> dict[str, Any]:
    """The document, with every object closed that names its members."""
    closed: dict[str, Any] = copy.deepcopy(document())
    _close(closed["components"]["schemas"])
    return closed


def _close(part: Any) -> None:
    if isinstance(part, list):
        for each in part:
            _close(each)
    if isinstance(part, dict):
        if "properties" in part and part.get("type") in ("object", ["object", "null"]):
            part.setdefault("additionalProperties", False)
        for each in part.values():
            _close(each)


def _in_words(error: jsonschema.ValidationError) -> str:
    where = "/".join(map(str, error.absolute_path)) or "body"
    deeper = [_in_words(each) for each in error.context or ()][:6]
    return f"{where}: {error.message[:300]}" + (f" ({'; '.join(deeper)})" if deeper else "")
