"""What is noted of a decision? Its answer at the request's span, and how long the policies took.

A decision is told as an evaluation of a feature flag,
https://opentelemetry.io/docs/specs/semconv/feature-flags/, and of the request what
https://opentelemetry.io/docs/specs/semconv/gen-ai/ has names for.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

from opentelemetry import trace
from opentelemetry.trace import Tracer

from sidecar.domain.decision import Decision, Effect
from sidecar.domain.modes import Mode
from sidecar.domain.request import CheckRequest
from sidecar.ports import Checked, Policies, Rules

P = ParamSpec("P")
T = TypeVar("T")

_SEVERITY: Final = {Effect.ALLOW.value: 0, Effect.WARN.value: 1, Effect.DENY.value: 2}
_EFFECT: Final = "entitlement.effect"


class TracedDecisions:
    """A decision log that tells the span of the request."""

    def record(self, checked: Checked) -> None:
        """Note one decision; of several, the most severe is what the span bears."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        decision, request = checked.decision, checked.request
        span.add_event("feature_flag.evaluation", _evaluation(checked))
        before = getattr(span, "attributes", {}).get(_EFFECT)
        if before is not None and _SEVERITY[before] >= _SEVERITY[decision.effect.value]:
            return
        span.set_attributes(
            {
                _EFFECT: decision.effect.value,
                "entitlement.decision.id": decision.id,
                "entitlement.mode": decision.mode.value,
                "entitlement.status": decision.status,
                "entitlement.plan": decision.plan or "",
                "entitlement.reasons": [reason.id for reason in decision.reasons],
                "entitlement.degraded": decision.degraded,
                "entitlement.reservation.id": decision.reservation.id
                if decision.reservation
                else "",
                **_of_the_model(request),
            }
        )

    def unknown_model(self, model: str) -> None:
        """Note nothing."""


def _evaluation(checked: Checked) -> dict[str, Any]:
    decision, request = checked.decision, checked.request
    subject = request.subject
    return {
        "feature_flag.key": request.plugin or request.feature or request.action or "check",
        "feature_flag.result.value": decision.effect.value,
        "feature_flag.result.variant": decision.plan or "",
        "feature_flag.result.reason": _reason(decision),
        "feature_flag.set.id": subject.app_id,
        "feature_flag.context.id": subject.user_id,
        "feature_flag.version": decision.revision,
        "feature_flag.provider.name": "mozaiks-sidecar",
        "entitlement.decision.id": decision.id,
    }


def _reason(decision: Decision) -> str:
    """Why, in the words that there are."""
    if decision.errors or decision.degraded:
        return "error"
    if decision.mode is Mode.OFF:
        return "disabled"
    return "targeting_match" if decision.reasons else "default"


def _of_the_model(request: CheckRequest) -> dict[str, str]:
    told = {
        "gen_ai.request.model": request.model,
        "gen_ai.agent.name": request.agent,
        "gen_ai.tool.name": request.plugin,
        "gen_ai.conversation.id": request.session_id,
    }
    return {name: value for name, value in told.items() if value}


class TracedPolicies:
    """Policies whose conclusions are spans of the request that asks for them."""

    def __init__(self, policies: Policies, tracer: Tracer) -> None:
        self._policies = policies
        self._tracer = tracer
        self._of: Rules | None = None
        self._traced: Rules | None = None

    @property
    def snapshot(self) -> Rules:
        """The set in force at this instant."""
        rules = self._policies.snapshot
        if self._traced is None or rules is not self._of:
            self._of = rules
            self._traced = cast("Rules", _TracedRules(rules, self._tracer))
        return self._traced


class _TracedRules:
    """What a set concludes for a check; all else is asked of the set itself."""

    def __init__(self, rules: Rules, tracer: Tracer) -> None:
        self._rules = rules
        self._tracer = tracer
        self.resolve = self._traced("policy resolve", rules.resolve)
        self.decide = self._traced("policy decide", rules.decide)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rules, name)

    def _traced(self, name: str, conclude: Callable[P, T]) -> Callable[P, T]:
        @wraps(conclude)
        def traced(*args: P.args, **kwargs: P.kwargs) -> T:
            with self._tracer.start_as_current_span(name):
                return conclude(*args, **kwargs)

        return traced
