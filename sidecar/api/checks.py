"""`/v1/check` and `/v1/checks`: the question before a request."""

from pydantic_core import to_json
from starlette.responses import Response

from sidecar.api.answer import Answer
from sidecar.api.endpoint import Call
from sidecar.api.problem import fault_body
from sidecar.api.render import decision_response
from sidecar.api.schemas import CHECK, CHECKS
from sidecar.api.written import decision_json
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
        answers = [
            to_json(fault_body(answer))
            if isinstance(answer, RequestFault)
            else decision_json(answer)
            for answer in await self._pdp.check_all(requests)
        ]
        return Answer(b'{"decisions":[%b]}' % b",".join(answers))
