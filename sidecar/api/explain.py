"""`/v1/explain`: what would a check answer, and what has each limit and rule to do with it?"""

import asyncio
from collections.abc import Iterable

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.explain_schemas import EXPLAIN, ExplainBody
from sidecar.api.faults import FieldFault, InvalidBody
from sidecar.api.render import decision_body
from sidecar.domain.explanation import Explanation
from sidecar.pdp import PDP, Explained
from sidecar.ports import Clock


class Explain:
    """Takes decisions apart; counts and holds nothing, records nothing."""

    def __init__(self, pdp: PDP, clock: Clock) -> None:
        self._pdp = pdp
        self._clock = clock

    async def explain(self, call: Call) -> Response:
        """One decision with its explanation, always with 200."""
        body = call.read(EXPLAIN)
        request = body.request()
        what_if = body.given.what_if(request.subject, self._clock.now())
        explained = await self._pdp.explain(request, what_if, trace=body.trace)
        refuse_unknown_counters(body, explained.explanation)
        return await asyncio.to_thread(lambda: json_response(explained_body(explained)))


def explained_body(explained: Explained) -> dict[str, object]:
    """A decision, as a check answers it, beside its explanation."""
    return {
        "decision": decision_body(explained.decision),
        "explanation": explained.explanation.as_plain(),
    }


def refuse_unknown_counters(body: ExplainBody, explanation: Explanation) -> None:
    """Return if the plan in force has all limits whose counters are given.

    Raises:
        InvalidBody: a name is wrong, and what is told of it would change nothing.
    """
    known = [limit.id for limit in explanation.limits]
    faults = [
        FieldFault(f"given.{field}.{name}", _no_limit(explanation.plan.plan, known))
        for field in ("used", "reserved", "granted")
        for name in getattr(body.given, field)
        if name not in known
    ]
    if faults:
        raise InvalidBody(faults[:10])


def _no_limit(plan: str | None, known: Iterable[str]) -> str:
    if plan is None:
        return "no plan is in force, so there are no limits"
    return f"the plan {plan!r} has no such limit; it has {', '.join(known) or 'none'}"
