"""The floor: the same server, the same bytes and their validation, with nothing behind it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_Text = Annotated[str, Field(max_length=256)]
_Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Estimate(_Body):
    input_tokens: _Count = 0
    output_tokens: _Count = 0


class _Check(_Body):
    app_id: _Text
    user_id: _Text
    tenant_id: _Text | None = None
    plugin: _Text | None = None
    feature: _Text | None = None
    action: _Text | None = None
    workflow: _Text | None = None
    agent: _Text | None = None
    model: _Text | None = None
    session_id: _Text | None = None
    estimate: _Estimate | None = None
    estimated_tokens: _Count | None = None
    attributes: dict[str, object] | None = None
    reserve: bool = False
    ttl_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    request_id: _Text | None = None


class _Commit(_Body):
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    total_tokens: _Count | None = None
    model: _Text | None = None
    final: bool = True


_CHECK = TypeAdapter(_Check)
_COMMIT = TypeAdapter(_Commit)


async def _check(request: Request) -> Response:
    body = _CHECK.validate_json(await request.body())
    return Response(body.model_dump_json(), media_type="application/json")


async def _commit(request: Request) -> Response:
    body = _COMMIT.validate_json(await request.body())
    return Response(body.model_dump_json(), media_type="application/json")


async def _who(_: Request) -> Response:
    return Response('{"server":"echo"}', media_type="application/json")


app = Starlette(
    routes=[
        Route("/v1/check", _check, methods=["POST"]),
        Route("/v1/reservations/{id}/commit", _commit, methods=["POST"]),
        Route("/readyz", _who),
    ],
)
