"""From a request to a call that a resource can answer: key, body, and every way to fail."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import structlog
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from sidecar.api.auth import Forbidden, Keys, Role, Unauthenticated
from sidecar.api.faults import FieldFault, InvalidBody, NotJson, fault_of
from sidecar.api.fields import MAX_CURSOR, MAX_RESERVATION_ID, MAX_TEXT
from sidecar.api.nearby import FromElsewhere, Misnamed
from sidecar.api.problem import BodyTooLarge, of_fault, of_invalid_body, problem
from sidecar.domain.value import value
from sidecar.errors import OutboxFull, RequestFault, Unavailable

T = TypeVar("T")

BODY_LIMIT = 64 * 1024
BATCH_LIMIT = 2 * 1024 * 1024

_log = structlog.get_logger("sidecar.api")


@value
class Call:
    """One request, its body read and its caller known; names of headers are in lower case."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = field(repr=False)
    headers: Mapping[bytes, bytes] = field(repr=False)

    def read(self, schema: TypeAdapter[T]) -> T:
        """The body as a value of a schema.

        Raises:
            NotJson, InvalidBody: it is none.
        """
        try:
            # As the adapter itself would, which looks at eight options first.
            found: T = schema.validator.validate_json(self.body)
        except ValidationError as error:
            raise fault_of(error) from None
        return found

    def asked(self, schema: TypeAdapter[T]) -> T:
        """The query parameters as a value of a schema.

        Raises:
            InvalidBody: they are none.
        """
        try:
            return schema.validate_python(dict(self.query))
        except ValidationError as error:
            raise fault_of(error) from None

    def json(self) -> object:
        """The body as JSON values.

        Raises:
            NotJson: it is not JSON.
        """
        try:
            return from_json(self.body)
        except ValueError as error:
            raise NotJson(str(error)) from None

    def required(self, name: str) -> str:
        """A query parameter.

        Raises:
            InvalidBody: it is missing, empty or longer than 256 characters.
        """
        value = self.query.get(name, "")
        if not 1 <= len(value) <= 256:
            message = "a query parameter of 1 to 256 characters is needed"
            raise InvalidBody([FieldFault(name, message)])
        return value


def echo_request_id(headers: Mapping[bytes, bytes], response: Response) -> None:
    """Let the answer bear the `X-Request-ID` of its request."""
    request_id = headers.get(b"x-request-id", b"")
    if 0 < len(request_id) <= MAX_TEXT and request_id.isascii():
        response.headers["X-Request-ID"] = request_id.decode("ascii")


_NO_NAMES: Final[Mapping[str, str]] = {}


def _query(written: bytes) -> dict[str, str]:
    return dict(parse_qsl(written.decode("latin-1"), keep_blank_values=True))


def _refuse_long_names(call: Call) -> None:
    given = [
        (name, value, MAX_CURSOR if name == "cursor" else MAX_TEXT)
        for name, value in call.query.items()
    ]
    given += [
        (name, value, MAX_RESERVATION_ID if name == "id" else MAX_TEXT)
        for name, value in call.path.items()
    ]
    faults = [
        FieldFault(name[:MAX_TEXT], f"more than {most} characters")
        for name, value, most in given
        if len(value) > most
    ]
    if faults:
        raise InvalidBody(faults)


_FORESEEN: Final = (
    Unauthenticated, Forbidden, Misnamed, FromElsewhere, BodyTooLarge, NotJson, InvalidBody,
    RequestFault, OutboxFull, Unavailable,
)  # fmt: skip


def of_stranger(error: Misnamed | FromElsewhere, path: str) -> Response:
    """What is answered where nobody has a key to somebody who may not ask there."""
    match error:
        case Misnamed():
            _log.warning("called_by_another_name", path=path, name=error.name)
            detail = (
                "Without any key this server answers to localhost and loopback addresses, not to "
                f"{error.name!r}. Add the name to SIDECAR_HOSTS, or configure a key."
            )
            return problem(403, "forbidden", "The server is not called so", detail)
        case FromElsewhere():
            _log.warning("page_of_another_site", path=path)
            detail = "A page of another site asks. Configure a key, and show it."
            return problem(403, "forbidden", "No page of another site may ask", detail)


def _failure(error: Exception, path: str) -> Response:
    """What is answered in the place of whatever was asked for."""
    match error:
        case Unauthenticated():
            _log.warning("no_valid_key", path=path)
            detail = "Give a key as Authorization: Bearer … or as X-Internal-API-Key."
            challenge = {"WWW-Authenticate": "Bearer"}
            return problem(401, "unauthenticated", "No valid key", detail, headers=challenge)
        case Forbidden():
            _log.warning("key_of_another_role", path=path)
            detail = f"This takes a key of the role {' or '.join(error.roles)}."
            return problem(403, "forbidden", "The key is for something else", detail)
        case Misnamed() | FromElsewhere():
            return of_stranger(error, path)
        case BodyTooLarge():
            return problem(413, "body_too_large", "The body is too large", str(error))
        case NotJson():
            return problem(400, "not_json", "The body is not JSON", str(error))
        case InvalidBody():
            return of_invalid_body(error)
        case RequestFault():
            return of_fault(error)
        case OutboxFull():
            _log.error("outbox_full", path=path)
            detail = f"Nothing is counted: {error}. Sending the same again is harmless."
            wait = {"Retry-After": "30"}
            return problem(503, "outbox_full", "Too much waits", detail, headers=wait)
        case _:
            _log.warning("unavailable", path=path, error=str(error))
            detail = "The store did not answer in time; sending the same again is harmless."
            wait = {"Retry-After": "1"}
            return problem(503, "store_unavailable", "Try again", detail, headers=wait)


Handler = Callable[[Call], Awaitable[Response]]


class Endpoint:
    """An ASGI application for one path and method."""

    def __init__(
        self,
        handle: Handler,
        keys: Keys,
        roles: Sequence[Role],
        *,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._handle = handle
        self._keys = keys
        self._roles = tuple(roles)
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self.answer(scope, receive)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """The answer to one request.

        Raises:
            ClientDisconnect: nobody waits for it any more.
        """
        headers = dict(scope["headers"])
        try:
            self._keys.require(self._roles, headers)
            body = await self._read_body(headers, receive)
            asked = scope["query_string"]
            query = (
                dict(parse_qsl(asked.decode("latin-1"), keep_blank_values=True)) if asked else {}
            )
            call = Call(scope["path_params"], query, body, headers)
            if query or call.path:
                _refuse_long_names(call)
            response = await self._handle(call)
        except _FORESEEN as error:
            response = _failure(error, scope["path"])
        echo_request_id(headers, response)
        return response

    async def _read_body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._body_limit:
            raise BodyTooLarge(self._body_limit)
        chunks: list[bytes] = []
        size = 0
        while True:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._body_limit:
                raise BodyTooLarge(self._body_limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Either:
    """An ASGI application for one path that is read and posted to."""

    def __init__(self, getting: Endpoint, posting: Endpoint) -> None:
        self._getting = getting
        self._posting = posting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._posting if scope["method"] == "POST" else self._getting
        await endpoint(scope, receive, send)
