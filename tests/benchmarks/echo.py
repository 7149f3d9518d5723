"""The floor: the same server and validation, with nothing behind it."""

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.api.schemas import CheckBody

_BODY = TypeAdapter(CheckBody)


async def _echo(request: Request) -> Response:
    body = _BODY.validate_json(await request.body())
    return Response(body.model_dump_json(), media_type="application/json")


async def _health(_: Request) -> Response:
    return Response('{"status": "echo"}', media_type="application/json")


app = Starlette(
    routes=[Route("/v1/check", _echo, methods=["POST"]), Route("/healthz", _health)],
)
