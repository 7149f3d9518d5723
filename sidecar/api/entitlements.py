"""`GET /v1/entitlements`: what a subject may have, and how much of it is left."""

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.render import overview_body
from sidecar.domain.request import Subject
from sidecar.pdp import PDP


class Entitlements:
    """Shows a subject's plan and limits."""

    def __init__(self, pdp: PDP) -> None:
        self._pdp = pdp

    async def show(self, call: Call) -> Response:
        """Of one app and user."""
        subject = Subject(
            call.required("app_id"), call.required("user_id"), call.query.get("tenant_id", "")
        )
        overview = await self._pdp.overview(subject)
        body = {"app_id": subject.app_id, "user_id": subject.user_id, **overview_body(overview)}
        return json_response(body)
