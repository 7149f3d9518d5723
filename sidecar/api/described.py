"""`/openapi.json` and `/docs`: what can be asked here, for a program and for a person."""

from starlette.responses import Response

from sidecar.api.endpoint import Call
from sidecar.api.openapi import document_text
from sidecar.api.openapi.page import POLICY, page


async def described(call: Call) -> Response:
    """The OpenAPI document."""
    return _response(document_text(), "application/json")


async def shown(call: Call) -> Response:
    """The same as a page, which asks nothing of anywhere else."""
    response = _response(page(), "text/html")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _response(body: bytes, media_type: str) -> Response:
    response = Response(body, media_type=media_type)
    response.headers["Cache-Control"] = "no-store"
    return response
