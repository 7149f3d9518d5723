"""What is left of a plan for users of an app that has a manifest?"""

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Final

from sidecar.cel import BOOL
from sidecar.domain.manifest import Budget, Manifest
from sidecar.domain.modes import Ceiling, FailureMode, Mode
from sidecar.domain.windows import rough_length_ms
from sidecar.policy.compiled import (
    CompiledLimit,
    CompiledPlan,
    Concerns,
    Origin,
    Overrides,
    PlanPlaces,
)
from sidecar.policy.conditions import Condition, Scope, plan_type
from sidecar.policy.globs import Globs
from sidecar.policy.source import SourceFile

_KEPT: Final = 1_024
_ORIGIN: Final = Origin("manifest", 1)
_LONGEST_NAME: Final = 256
NO_PLAN: Final = CompiledPlan(
    id="",
    name="",
    mode=Mode.ENFORCE,
    failure_mode=FailureMode.OPEN,
    plugins_allow=Globs([]),
    plugins_deny=Globs([]),
    features={},
    limits=(),
    rules=(),
    facts={"id": "", "name": "", "features": {}},
    origin=_ORIGIN,
    places=PlanPlaces(_ORIGIN, (), (), {}),
    concerns=Concerns([]),
)
"""Of whoever has none: what an app uses counts all the same."""


class Narrowed:
    """Plans under the manifests of apps; the latest ones are kept.

    Args:
        ceiling: what the operator's settings do to the modes that manifests state.
    """

    def __init__(self, ceiling: Ceiling) -> None:
        self._ceiling = ceiling
        # That manifests stand here keeps their identities from being given to others.
        self._kept: dict[tuple[str, int, tuple[str, ...]], tuple[Manifest, CompiledPlan]] = {}

    def under(self, plan: CompiledPlan, manifest: Manifest, now: datetime) -> CompiledPlan:
        """A plan with the manifest's limits, and with no more than it lets anybody have."""
        overridden = manifest.overridden(now)
        key = plan.id, id(manifest), overridden
        known = self._kept.get(key)
        if known is None:
            known = manifest, _narrowed(plan, manifest, overridden, self._ceiling)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[key] = known
        return known[1]


def _narrowed(
    plan: CompiledPlan, manifest: Manifest, overridden: tuple[str, ...], ceiling: Ceiling
) -> CompiledPlan:
    budgets = manifest.budgets_under(overridden)
    further = [_compiled(budget, ceiling, plan.failure_mode) for budget in budgets]
    off = {it: False for it, on in manifest.features.items() if not on}
    features, seen = {**plan.features, **off}, plan.facts["features"]
    assert isinstance(seen, dict), "the compiler made it"
    allow, places = plan.plugins_allow, plan.places
    if manifest.allowed:
        allow = Globs([name for name in manifest.allowed if allow.match(name)])
        places = replace(places, plugins=_ORIGIN, allow=(_ORIGIN,) * len(allow.patterns))
    deny = places.deny + (_ORIGIN,) * len(manifest.blocked)
    refused = {name: _ORIGIN for name in features if features[name] != plan.features.get(name)}
    limits = sorted(
        (*plan.limits, *further), key=lambda it: rough_length_ms(it.limit.window), reverse=True
    )
    return replace(
        plan,
        plugins_allow=allow,
        plugins_deny=Globs([*plan.plugins_deny.patterns, *manifest.blocked]),
        features=features,
        limits=tuple(limits),
        facts={**plan.facts, "features": {**seen, **off}},
        places=replace(places, deny=deny, features={**places.features, **refused}),
    )


def _compiled(budget: Budget, ceiling: Ceiling, failure_mode: FailureMode) -> CompiledLimit:
    when = None
    for member, name in (("model", budget.model), ("plugin", budget.plugin)):
        if name:
            when = _is_for(member, name)
    limit = budget.limit(ceiling, failure_mode)
    return CompiledLimit(limit, when, None, Overrides(), _ORIGIN)


def _is_for(member: str, name: str) -> Condition:
    """Whether a request is for a model or a plugin; its name is no part of the expression."""
    return replace(_condition(member), scope=_scope(name))


@cache
def _condition(member: str) -> Condition:
    text = f"request.{member} == constants.name"
    source = SourceFile("manifest", f"when: {text}\n")
    compiled = _scope("x" * _LONGEST_NAME).compile(
        source, ("when",), text, BOOL, present=(), before_counting=True
    )
    assert isinstance(compiled, Condition)  # it stands above
    return compiled


def _scope(name: str) -> Scope:
    return Scope({"name": name}, plan_type(()))
