"""How does a body become an answer? Its headers are bytes from the start, and most are known."""

from typing import Final

from pydantic_core import to_json
from starlette.responses import Response

_NOT_KEPT: Final = (b"cache-control", b"no-store")
_TYPES: Final = {
    kind: (b"content-type", kind.encode())
    for kind in ("application/json", "application/problem+json")
}


class Answer(Response):
    """A body that no cache keeps.

    As Starlette's, but for what that finds out of each anew: how its headers are encoded, and
    which of them are given.
    """

    def __init__(
        self, body: bytes, status: int = 200, media_type: str = "application/json"
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            _TYPES.get(media_type) or (b"content-type", media_type.encode()),
            _NOT_KEPT,
        ]


def json_response(
    body: object, status: int = 200, media_type: str = "application/json"
) -> Response:
    """A JSON body that no cache keeps."""
    return Answer(to_json(body), status, media_type)
