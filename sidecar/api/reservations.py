"""`/v1/reservations/{id}/…`: what becomes of units that a check has held."""

from starlette.responses import Response

from sidecar.api.answer import Answer
from sidecar.api.endpoint import Call
from sidecar.api.render import decision_response
from sidecar.api.schemas import COMMIT, EXTEND
from sidecar.api.written import settlement_json
from sidecar.pdp import PDP


class Reservations:
    """Commits, releases and extends."""

    def __init__(self, pdp: PDP) -> None:
        self._pdp = pdp

    async def commit(self, call: Call) -> Response:
        """Charge what the run used; the limits after it."""
        body = call.read(COMMIT)
        settled = await self._pdp.commit(
            call.path["id"], body.amounts(), final=body.final, model=body.model or ""
        )
        return Answer(settlement_json(settled))

    async def release(self, call: Call) -> Response:
        """Give all back; the limits after it."""
        return Answer(settlement_json(await self._pdp.release(call.path["id"])))

    async def extend(self, call: Call) -> Response:
        """Hold longer and, with an estimate, more; a refusal leaves the hold as it was."""
        body = call.read(EXTEND)
        return decision_response(
            await self._pdp.extend(
                call.path["id"], body.ttl_s, body.amounts(), body.request_id or ""
            )
        )
