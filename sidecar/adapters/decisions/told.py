"""Where decisions are told: refusals go to the process's log, with what support will ask for."""

from typing import Final

import structlog

from sidecar.logs import DECISION
from sidecar.ports import Checked

_MOST_MODELS: Final = 100
"""Unknown models that are told apart: a caller may invent any number of names."""


class LoggedDecisions:
    """Logs each refusal, and each model without a price once; of an allow only its id is kept.

    Attributes:
        unpriced: how often a model had no price.
    """

    def __init__(self) -> None:
        self._log = structlog.get_logger("sidecar.decisions")
        self._unknown_models: dict[str, int] = {}
        self.unpriced = 0

    def record(self, checked: Checked) -> None:
        """Note one decision."""
        decision, request = checked.decision, checked.request
        DECISION.set(decision.id)
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

    def unknown_model(self, model: str) -> None:
        """Count it, and name it once."""
        self.unpriced += 1
        seen = self._unknown_models
        if model not in seen:
            if len(seen) == _MOST_MODELS:
                return
            self._log.warning("unknown_model", model=model)
        seen[model] = seen.get(model, 0) + 1

    def begin_anew(self) -> None:
        """Tell how often each unknown model came: the prices that follow may know it."""
        if self._unknown_models:
            self._log.info("unknown_models", times=dict(self._unknown_models))
        self._unknown_models.clear()


class NoDecisions:
    """Tells nobody: for a command whose answer is on the screen."""

    def record(self, checked: Checked) -> None:
        """Note nothing."""

    def unknown_model(self, model: str) -> None:
        """Note nothing."""
