"""`/v1/check` and `/v1/checks`: the question before a request."""

from starlette.responses import Response

from sidecar.api.endpoint import Call
from sidecar.api.problem import fault_body
from sidecar.api.render import decision_body, decision_response, json_response
from sidecar.api.schemas import CHECK, CHECKS
from sidecar.errors import RequestFault
from sidecar.pdp import PDP


class Checks:
    """Answers allow, warn or a refusal."""

    def __init__(self, pdp: PDP) -> None:
        self._pdp = pdp

    async def check(self, call: Call) -> Response:
        """One decision."""
        return decision_response(await self._pdp.check(call.read(CHECK).request()))

    async def checks(self, call: Call) -> Response:
        """Up to a hundred decisions, always with 200; each has its own status inside."""
        requests = [body.request() for body in call.read(CHECKS).checks]
        answers = await self._pdp.check_all(requests)
        return json_response(
            {
                "decisions": [
                    fault_body(answer)
                    if isinstance(answer, RequestFault)
                    else decision_body(answer)
                    for answer in answers
                ]
            }
        )
