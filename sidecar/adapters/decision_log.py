"""Where decisions are told: refusals go to the process's log, with what support will ask for."""

import structlog

from sidecar.domain.decision import Decision
from sidecar.domain.request import CheckRequest


class LoggedDecisions:
    """Logs each refusal; an allow costs nothing."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("sidecar.decisions")

    def record(self, request: CheckRequest, decision: Decision) -> None:
        """Note one decision."""
        if not decision.is_denied:
            return
        self._log.info(
            "decision",
            decision_id=decision.id,
            effect=decision.effect.value,
            app_id=request.subject.app_id,
            user_id=request.subject.user_id,
            plan=decision.plan,
            reasons=[f"{reason.code.value}:{reason.id}" for reason in decision.reasons],
            degraded=decision.degraded,
            revision=decision.revision,
        )


class NoDecisions:
    """Tells nobody: for a command whose answer is on the screen."""

    def record(self, request: CheckRequest, decision: Decision) -> None:
        """Note nothing."""
