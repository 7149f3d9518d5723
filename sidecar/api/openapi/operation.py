"""What can be asked at one path with one method, by whom, and what may come of it?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.api.auth import Role
from sidecar.api.faults import MEDIA_TYPE as PROBLEM
from sidecar.api.fields import MAX_RESERVATION_ID, MAX_TEXT
from sidecar.api.openapi.examples import Example, examples_of
from sidecar.api.openapi.schema import ANYTHING, Schema, ref
from sidecar.domain.modes import Refusal

JSON: Final = "application/json"

CALLERS: Final = (Role.RUNTIME, Role.INTERNAL)
READERS: Final = (Role.RUNTIME, Role.INTERNAL, Role.READ)
REPORTED: Final = (Role.INTERNAL, Role.READ)
INTERNAL: Final = (Role.INTERNAL,)

WORDS: Final[Mapping[int, str]] = {
    200: "The answer.",
    201: "Made.",
    202: "Taken.",
    400: "The body is not JSON.",
    401: "No key, or none that is known.",
    Refusal.PAYMENT_REQUIRED: "Refused; another plan or money mends it.",
    403: "The key is for something else.",
    404: "It is not known.",
    409: "It cannot be, as things are.",
    413: "The body is too large.",
    422: "Something is not as it should be; each field is named.",
    429: "Refused; time mends it.",
    431: "The address and the headers are too large together.",
    502: "The payment side refused.",
    503: "A fact could not be had in time; sending the same again is harmless.",
}
_REFUSALS: Final = tuple(refusal.value for refusal in Refusal)
_RATE: Final = ("RateLimit", "RateLimit-Policy")
_PATH_PARAMETER: Final = re.compile(r"{(\w+)(:path)?}")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the document.

    Attributes:
        answer: the component that a success has; None for what has a form of its own.
        roles: of the keys that may; empty for everyone.
        body: the schema of each media type; None where a body is not read.
        others: further components by status, beside those of what may go wrong everywhere.
        headers: further ones of a success.
        decides: whether it may refuse as a check does.
        stored: whether the store is asked.
        bounded: whether the length of what is named in the address is bounded.
        personal: whether it takes a user's token, and never a key.
    """

    method: str
    path: str
    tag: str
    summary: str
    description: str
    answer: str | None
    roles: tuple[Role, ...] = ()
    status: int = 200
    media_type: str = JSON
    body: Mapping[str, Schema] | None = None
    parameters: Sequence[Schema] = ()
    others: Mapping[int, str] | None = None
    headers: tuple[str, ...] = ()
    decides: bool = False
    stored: bool = True
    bounded: bool = True
    personal: bool = False

    def entry(self) -> dict[str, Any]:
        """Itself, as OpenAPI writes it."""
        shown = examples_of(self.method, self.path)
        entry: dict[str, Any] = {
            "operationId": _NO_WORD.sub("_", f"{self.method}{self.path}".lower()).strip("_"),
            "tags": [self.tag],
            "summary": self.summary,
            "description": f"{self.description}\n\n{self._asked_by()}",
            "parameters": [*self._in_path(shown), *self.parameters, _REQUEST_ID],
            "responses": {
                str(status): self._response(status, kinds, shown)
                for status, kinds in sorted(self.answers().items())
            },
            "security": self._security(),
            "x-roles": [role.value for role in self.roles],
        }
        if self.body is not None:
            content = {each: self._sent(each, shown) for each in self.body}
            entry["requestBody"] = {"required": True, "content": content}
        return entry

    def answers(self) -> dict[int, list[str]]:
        """The components that each failure may have, and the success's own."""
        found: dict[int, list[str]] = {self.status: [self.answer] if self.answer else []}
        for status, kind in self._failures():
            kinds = found.setdefault(status, [])
            if kind not in kinds:
                kinds.append(kind)
        return found

    def _sent(self, media_type: str, shown: Sequence[Example]) -> Schema:
        assert self.body is not None
        content: Schema = {"schema": self.body[media_type]}
        told = {
            each.name: each.as_sent()
            for each in shown
            if each.body is not None and each.media_type == media_type
        }
        return content | ({"examples": told} if told else {})

    def _failures(self) -> Iterator[tuple[int, str]]:
        yield 431, "Problem"
        if self.bounded:
            yield 422, "InvalidBody"
        if self.body is not None:
            yield 400, "Problem"
        if self.method == "POST":
            yield 413, "Problem"
        if self.roles or self.personal:
            yield from ((401, "Problem"), (403, "Problem"))
        if self.stored:
            yield 503, "Problem"
        if self.decides:
            yield from ((status, "Refusal") for status in _REFUSALS)
        yield from (self.others or {}).items()

    def _security(self) -> list[Schema]:
        if self.personal:
            return [{"user": []}]
        return [{"bearer": []}, {"internal": []}] if self.roles else []

    def _asked_by(self) -> str:
        if self.personal:
            return "A user's token: a portal token, or the app's own where its issuer is known."
        if not self.roles:
            return "Anybody may ask; no key is needed."
        return f"Key: {' or '.join(self.roles)}."

    def _in_path(self, shown: Sequence[Example]) -> list[Schema]:
        found: list[Schema] = []
        for name, rest in _PATH_PARAMETER.findall(self.path):
            longest = MAX_RESERVATION_ID if name == "id" else MAX_TEXT
            schema: Schema = {"type": "string", "minLength": 1, "maxLength": longest}
            if not rest:
                schema["pattern"] = "^[^/]+$"
            parameter = {"name": name, "in": "path", "required": True, "schema": schema}
            found.append(parameter | {"examples": {
                each.name: {"value": each.path[name]} for each in shown if name in each.path
            }})  # fmt: skip
        return found

    def _response(self, status: int, kinds: Sequence[str], shown: Sequence[Example]) -> Schema:
        schemas = [ref(kind) for kind in kinds]
        schema = (schemas[0] if len(schemas) == 1 else {"anyOf": schemas}) if schemas else ANYTHING
        if not self.media_type.endswith(("/json", "+json")):
            schema = {"type": "string"} if status == self.status else schema
        content: Schema = {"schema": schema}
        told = {each.name: each.as_answered() for each in shown if each.status == status}
        if told:
            content["examples"] = told
        media_type = self.media_type if status == self.status else PROBLEM
        return {
            "description": WORDS[status],
            "headers": {name: header(name) for name in self._headers(status)},
            "content": {media_type: content},
        }

    def _headers(self, status: int) -> Iterator[str]:
        yield from ("X-Request-ID", "Cache-Control")
        if status == self.status:
            yield from self.headers
        if status == 401:
            yield "WWW-Authenticate"
        if self.decides and status in (200, *_REFUSALS):
            yield from _RATE
        if status == 503 or (self.decides and status in _REFUSALS):
            yield "Retry-After"


def header(name: str) -> Schema:
    """A header that stands among the components."""
    return {"$ref": f"#/components/headers/{name}"}


_REQUEST_ID: Final[Schema] = {"$ref": "#/components/parameters/RequestId"}
