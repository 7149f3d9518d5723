"""`GET /v1/decisions`: what was decided, from which facts, and what each rule and limit saw."""

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.problem import problem
from sidecar.api.queries import DECISIONS_QUERY
from sidecar.ports import Decisions as DecisionsPort


class Decisions:
    """Shows recorded decisions."""

    def __init__(self, decisions: DecisionsPort) -> None:
        self._decisions = decisions

    async def show(self, call: Call) -> Response:
        """The one of an id."""
        decision_id = call.path["id"]
        found = await self._decisions.find(decision_id)
        if found is None:
            detail = (
                f"No decision {decision_id!r} is known. The latest that were not simply allowed "
                "are in memory; older ones, and allows, in SIDECAR_DECISION_LOG alone."
            )
            return problem(404, "unknown_decision", "Unknown decision", detail)
        return json_response(found)

    async def list(self, call: Call) -> Response:
        """The latest ones, of an app, a user, an effect."""
        asked = call.asked(DECISIONS_QUERY)
        found = await self._decisions.latest(
            asked.app_id or "", asked.user_id or "", asked.effect or "", asked.limit
        )
        kept = "files" if self._decisions.is_in_files else "memory"
        return json_response({"decisions": found, "lost": self._decisions.lost, "kept": kept})
