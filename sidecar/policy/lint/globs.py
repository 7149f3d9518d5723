"""Do globs say something that others do not say already, and of plugins that are to be had?"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import islice

from sidecar.cel.logic.texts import covers, globbed, may_match
from sidecar.policy.compiled import CompiledPlan
from sidecar.policy.diagnostics import Diagnostic, nearest
from sidecar.policy.globs import is_wild
from sidecar.policy.lint.cuts import without
from sidecar.policy.lint.remarks import elsewhere, warning
from sidecar.policy.lint.written import WrittenRule, rules
from sidecar.policy.load import Examined
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit

MOST_COMPARED = 100_000
"""Pairs of globs that are compared for a plan or for all rules; the rest is left alone."""
MOST_COVERED = 20_000
"""The same for one list, where each pair takes longer."""
MOST_NEAR = 100
"""Names for which a nearest one is looked for."""


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """D2 to D6: redundant and misread globs, plans that can call nothing, rules of no plugin."""
    for unit, path, globs in _lists(examined):
        yield from _regular(unit, path, globs)
        yield from _redundant(unit, path, globs)
    for name, unit in examined.plans.units.items():
        yield from _denied(unit, name)
    yield from _unreachable(examined)


def _lists(examined: Examined) -> Iterator[tuple[Unit, Path, Sequence[str]]]:
    """Every list of globs."""
    for name, unit in examined.plans.units.items():
        plugins = unit.file.plans[name].plugins
        if plugins is not None:
            yield unit, _allowed_at(unit, name), plugins.allow
            yield unit, ("plans", name, "plugins", "deny"), plugins.deny
    for rule in rules(examined):
        yield rule.unit, (*rule.path, "match", "plugins"), rule.section.match.plugins or ()


def _allowed_at(unit: Unit, plan: str) -> Path:
    """Where the globs of a plan stand, which may be written without `allow`."""
    path: Path = ("plans", plan, "plugins")
    return path if unit.source.node((*path, "allow")) is None else (*path, "allow")


def _redundant(unit: Unit, path: Path, globs: Sequence[str]) -> Iterator[Diagnostic]:
    first = {glob: index for index, glob in reversed(list(enumerate(globs)))}
    wide: dict[str, list[str]] = {}
    for glob in first:
        if is_wild(glob):
            wide.setdefault(_head(glob), []).append(glob)
    for index, glob in enumerate(globs):
        by = glob if first[glob] != index else _wider(glob, wide, first)
        if by is not None:
            message = f"{by!r} of this list matches all that {glob!r} matches"
            if by == glob:
                message = f"{glob!r} stands twice in this list"
            at = (*path, index)
            related = (elsewhere(unit, (*path, first[by]), f"{by!r} stands here"),)
            hint = "leave this one out"
            fix = without(unit, at)
            yield warning(unit, "D3", message, at, hint=hint, related=related, fix=fix)


def _regular(unit: Unit, path: Path, globs: Sequence[str]) -> Iterator[Diagnostic]:
    """What has .* behind something that ends no word; `acme.*` may well be for names with a dot."""
    for index, glob in enumerate(globs):
        if re.search(r"(?<![A-Za-z0-9])\.\*", glob):
            message = f"{glob!r} is a glob, in which the dot is a dot: * alone is any run"
            meant = re.sub(r"(?<![A-Za-z0-9])\.\*", "*", glob)
            yield warning(unit, "D6", message, (*path, index), hint=f'write "{meant}"')


def _head(glob: str) -> str:
    """What every name begins with that a glob matches."""
    return re.split(r"[*?]", glob, maxsplit=1)[0]


def _wider(glob: str, wide: Mapping[str, Sequence[str]], order: Mapping[str, int]) -> str | None:
    """Another glob that covers this one; of two that cover each other, the earlier."""
    head = _head(glob)
    near = (each for end in range(len(head) + 1) for each in wide.get(head[:end], ()))
    for other in islice(near, MOST_COVERED // len(order) + 1):
        if other != glob and covers(globbed(other), globbed(glob)):
            is_equal = is_wild(glob) and covers(globbed(glob), globbed(other))
            if not is_equal or order[other] < order[glob]:
                return other
    return None


def _denied(unit: Unit, plan: str) -> Iterator[Diagnostic]:
    plugins = unit.file.plans[plan].plugins
    if plugins is None or not plugins.allow or not plugins.deny:
        return
    if len(plugins.allow) * len(plugins.deny) > MOST_COMPARED:
        return
    denied = [globbed(glob) for glob in plugins.deny]
    left = [may_match([globbed(glob)], denied, empty=False) for glob in plugins.allow]
    path = _allowed_at(unit, plan)
    if not any(left):
        message = f"deny refuses all that allow lists, so that the plan {plan!r} can call nothing"
        hint = "write plugins: [] where that is meant"
        yield warning(unit, "D4", message, ("plans", plan, "plugins"), hint=hint, key=True)
        return
    for index, glob in enumerate(plugins.allow):
        if not left[index]:
            message = f"deny refuses all that {glob!r} allows"
            hint = "a deny wins over every allow; take one of the two out"
            yield warning(unit, "D4", message, (*path, index), hint=hint)


def _unreachable(examined: Examined) -> Iterator[Diagnostic]:
    assert examined.policies is not None, "checks run where nothing is wrong"
    plans = {plan.id: plan for plan in examined.policies.plans}
    named = sorted({
        glob for plan in plans.values() for glob in plan.plugins_allow.patterns if not is_wild(glob)
    })  # fmt: skip

    left = MOST_COMPARED

    @cache
    def is_there(glob: str, plan: str) -> bool:
        nonlocal left
        if not is_wild(glob):
            return plans[plan].allows_plugin(glob)
        left -= len(plans[plan].plugins_allow.patterns) + len(plans[plan].plugins_deny.patterns)
        return left < 0 or _includes(plans[plan], glob)

    @cache
    def nearest_of(glob: str) -> str | None:
        is_known = is_wild(glob) or nearest_of.cache_info().currsize > MOST_NEAR
        return None if is_known else nearest(glob, set(named) - {glob})

    for rule in rules(examined):
        globs = rule.section.match.plugins
        if globs is None or not _is_refused_before(rule, examined):
            continue
        lost = [not any(is_there(glob, plan) for plan in rule.plans) for glob in globs]
        path = (*rule.path, "match", "plugins")
        whose = " and ".join(map(repr, rule.plans)) if len(rule.plans) < 4 else "its plans"
        whose = f"{whose} {'include' if len(rule.plans) > 1 else 'includes'}"
        for index, glob in enumerate(globs):
            near = nearest_of(glob) if lost[index] else None
            if near is not None:
                message = f"no plan includes a plugin {glob!r}"
                hint = f"did you mean {near!r}?"
                yield warning(rule.unit, "D2", message, (*path, index), hint=hint)
                lost[index] = False
        if all(lost):
            message = f"the rule {rule.id!r} is never asked: {whose} none of these plugins"
            hint = "the plan refuses them already; take the rule out, or name other plugins"
            yield warning(rule.unit, "D5", message, path, hint=hint, key=True)
            continue
        for index, glob in enumerate(globs):
            if lost[index]:
                message = f"{whose} nothing that {glob!r} matches"
                hint = "the plan refuses it already"
                yield warning(rule.unit, "D5", message, (*path, index), hint=hint)


def _is_refused_before(rule: WrittenRule, examined: Examined) -> bool:
    """Whether what a plan does not include is refused as strictly as the rule would refuse it."""
    modes = [examined.plans.units[plan].file.mode for plan in rule.plans]
    return bool(modes) and all(rule.mode.narrowed(mode) is rule.mode for mode in modes)


def _includes(plan: CompiledPlan, glob: str) -> bool:
    """Whether a plan includes a plugin that a glob matches."""
    denied = [globbed(each) for each in plan.plugins_deny.patterns]
    return any(
        may_match([globbed(glob), globbed(each)], denied, empty=False)
        for each in plan.plugins_allow.patterns
    )
