"""What does the whole API look like to a program? OpenAPI 3.1, put together once."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pydantic_core import to_json

from sidecar import __version__
from sidecar.api.openapi.answers import answer_schemas
from sidecar.api.openapi.counting import counting
from sidecar.api.openapi.deciding import deciding
from sidecar.api.openapi.events import event_schemas, events
from sidecar.api.openapi.operation import Operation
from sidecar.api.openapi.personal import personal
from sidecar.api.openapi.problems import problem_schemas
from sidecar.api.openapi.questions import question_schemas
from sidecar.api.openapi.schema import TEXT, Schema
from sidecar.api.openapi.standing import about, pushing, recorded

_ABOUT: Final = """\
Allow, warn or refuse before each request, and a true count after it.

Failures are problems (RFC 9457) with a `type` that ends in a code. A path or method that is not
served is 404 or 405, as a problem too. Where no key is configured, none is asked for."""

_HEADERS: Final[dict[str, Schema]] = {
    "X-Request-ID": {
        "description": "As it was sent, up to 256 ASCII characters; where none was, and a line of "
        "the log is about this request, the name that it has there.",
        "schema": TEXT,
    },
    "Cache-Control": {"required": True, "schema": {"const": "no-store"}},
    "RateLimit": {
        "description": "Of the limit that binds: `r` units are left, for `t` seconds.",
        "schema": TEXT,
    },
    "RateLimit-Policy": {"description": "Its quota `q` and window `w`.", "schema": TEXT},
    "Retry-After": {
        "description": "Seconds; only where waiting helps within a day.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 86_400},
    },
    "X-Next-Cursor": {
        "required": True,
        "description": "What follows begins there, now or later.",
        "schema": TEXT,
    },
    "X-Has-More": {
        "required": True,
        "description": "Whether there is more already.",
        "schema": {"enum": ["true", "false"]},
    },
    "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
}
_SCHEMES: Final[dict[str, Schema]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of any role."},
    "internal": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Internal-API-Key",
        "description": "The same keys, where the other header is taken.",
    },
    "user": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A portal token, or a token of the app's own identity provider.",
    },
}


def operations() -> Iterator[Operation]:
    """Every entry, in the order in which it is shown."""
    yield from deciding()
    yield from counting()
    yield from events()
    yield from pushing()
    yield from personal()
    yield from recorded()
    yield from about()


@cache
def document() -> dict[str, Any]:
    """The document; nobody may change it."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations():
        path = operation.path.replace(":path", "")
        paths.setdefault(path, {})[operation.method.lower()] = operation.entry()
    parts: dict[str, Schema] = {}
    for some in (question_schemas(), problem_schemas(), answer_schemas(), event_schemas()):
        assert parts.keys().isdisjoint(some)  # one name, one shape
        parts |= some
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mozaiks sidecar",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in _tags()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(parts.items())),
            "headers": _HEADERS,
            "parameters": {"RequestId": _REQUEST_ID},
            "securitySchemes": _SCHEMES,
        },
    }


_REQUEST_ID: Final[Schema] = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "Comes back with the answer, if it has at most 256 characters, all ASCII.",
    "schema": TEXT,
}


@cache
def document_text() -> bytes:
    """The document as it is served."""
    return to_json(document(), indent=1)


def _tags() -> list[str]:
    return list(dict.fromkeys(operation.tag for operation in operations()))
