"""Which limits do plans write down, and what do they compile to?"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from sidecar.cel import BOOL
from sidecar.domain.limits import STATED, Dimension, Limit
from sidecar.domain.modes import FailureMode
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed, Window, parse_window
from sidecar.policy.compiled import CompiledLimit, Overrides
from sidecar.policy.format import LimitSection, PlanSection
from sidecar.policy.lineage import Plans
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit

_OF_A_USER = frozenset({Dimension.APP, Dimension.USER})


def monthly_id(plan: str) -> str:
    """The id of the limit that `tokens_per_month` is short for."""
    return f"{plan}-tokens-per-month"


def says_monthly(plan: PlanSection) -> bool:
    """Whether a plan has `tokens_per_month`; null is said too, and means unlimited."""
    return "tokens_per_month" in plan.model_fields_set


def written_limits(name: str, plan: PlanSection) -> Iterator[tuple[LimitSection, Path]]:
    """The limits that a plan itself writes down, with their paths in its file."""
    path: Path = ("plans", name)
    if says_monthly(plan):
        # Its name may be longer than one that people write, so it is not held to their rules.
        section = LimitSection.model_construct(
            id=monthly_id(name),
            meter=MeterKind.TOKENS,
            max=plan.tokens_per_month,
            window=Fixed.BILLING_MONTH.value,
        )
        yield section, (*path, "tokens_per_month")
    for index, section in enumerate(plan.limits):
        yield section, (*path, "limits", index)


def limits_of(plans: Plans, name: str) -> Mapping[str, tuple[str, LimitSection]]:
    """The limits of a plan with all that it inherits, each with the plan that writes it."""
    own: dict[str, tuple[str, LimitSection]] = {}
    lineage = plans.lineage(name) or ()
    for ancestor in reversed(lineage):
        if says_monthly(ancestor.section):
            for other in lineage:
                own.pop(monthly_id(other.id), None)
        for section, _ in written_limits(ancestor.id, ancestor.section):
            own[section.id] = ancestor.id, section
    return own


def limits_always_read(
    plans: Plans, names: Iterable[str], lost: Collection[str]
) -> frozenset[tuple[str, ...]]:
    """What an expression about these plans finds in `limits`, whatever is asked.

    Ids in what could not be read, and plans whose lineage is broken, are given the benefit
    of the doubt: what is lacking there is not the expression's fault.
    """
    known = [limits_of(plans, name).values() for name in names if plans.is_whole(name)]
    always = [{it.id for _, it in limits if it.when is None} for limits in known]
    sure = set.intersection(*always) if always else set()
    return frozenset(("limits", name) for name in sure.union(lost))


def compile_limit(
    unit: Unit, section: LimitSection, path: Path, overrides: Mapping[str, Overrides]
) -> CompiledLimit:
    """A limit as decisions use it; what is wrong with it is reported."""
    share = None
    if section.warn_at is not None:
        share = Fraction(str(section.warn_at)).as_integer_ratio()
    when = unit.expression((*path, "when"), section.when, BOOL, before_counting=True)
    _refuse_rollover(unit, section, path)
    return CompiledLimit(
        limit=Limit(
            id=section.id,
            meter=section.meter,
            maximum=section.max,
            window=_window(unit, section, path),
            per=_counted_per(section.per),
            mode=unit.narrowed(section.mode, path),
            failure_mode=section.failure_mode or unit.file.defaults.failure_mode,
            warn_from=_warn_from(section.max, share),
            refusal=section.status,
            message=section.message or "",
            conditional=section.when is not None,
            rollover=section.rollover.max if section.rollover else None,
        ),
        when=when,
        warn_at=share,
        overrides=overrides.get(section.id) or Overrides(),
        origin=unit.origin(path),
    )


def failing(
    limit: CompiledLimit, section: LimitSection, of_plan: FailureMode | None
) -> CompiledLimit:
    """The limit as a plan has it that says what a missing fact means; its own word comes first."""
    if of_plan is None or section.failure_mode is not None:
        return limit
    return replace(limit, limit=replace(limit.limit, failure_mode=of_plan))


def refuse_cost(unit: Unit, path: Path) -> None:
    """Report a limit on cost where nothing has a price."""
    message = "without prices nothing costs anything, so nothing would be limited"
    hint = "name a price file as SIDECAR_PRICES or with --prices"
    unit.report("E4", message, (*path, "meter"), hint=hint)


def _refuse_rollover(unit: Unit, section: LimitSection, path: Path) -> None:
    """Report a limit of which nothing is left that could be carried on."""
    if section.rollover is None:
        return
    window = parse_window(section.window or "")
    message = hint = ""
    if window not in STATED or section.meter is MeterKind.CONCURRENCY:
        message = "only what is left of a month or of a billing period is carried on"
        hint = f"write window: {Fixed.BILLING_MONTH.value}, or leave rollover out"
    elif {*section.per, Dimension.APP} != _OF_A_USER:
        message = "what is left is carried on for a user, and this counts for something else"
        hint = "leave per out, or write per: [app, user]"
    elif section.max is None:
        message = "of a limit without a maximum nothing can be left"
        hint = "leave rollover out"
    if message:
        unit.report("E10", message, (*path, "rollover"), hint=hint, key=True)


def with_maximum(limit: CompiledLimit, maximum: int | None) -> Limit:
    """The limit with another bound."""
    return replace(limit.limit, maximum=maximum, warn_from=_warn_from(maximum, limit.warn_at))


def _window(unit: Unit, section: LimitSection, path: Path) -> Window:
    window = None if section.window is None else parse_window(section.window)
    if section.meter is MeterKind.CONCURRENCY:
        if window not in (None, Fixed.LIFETIME):
            message = "concurrency counts what runs now, so it has no window"
            unit.report("E4", message, (*path, "window"), hint="leave window out")
        return Fixed.LIFETIME
    if unit.lacks((*path, "window"), window):
        message = f"the limit {section.id!r} lacks the field 'window'"
        hint = "window: 1m for any minute, window: day for the day in UTC"
        unit.report("B2", message, path, hint=hint)
    return window or Fixed.LIFETIME


def _counted_per(per: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Dimensions in their one order; the app is always among them."""
    return tuple(dimension for dimension in Dimension if dimension in {*per, Dimension.APP})


def _warn_from(maximum: int | None, share: tuple[int, int] | None) -> int | None:
    if maximum is None or share is None:
        return None
    return -(-maximum * share[0] // share[1])
