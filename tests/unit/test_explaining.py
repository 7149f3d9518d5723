"""Why is the answer what it is? Each part of the policies says so, and agrees with the decision."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.domain.decision import Effect, Reason
from sidecar.domain.explanation import (
    Does,
    ExplainedLimit,
    ExplainedOverride,
    ExplainedRule,
    Explanation,
    PlanSource,
    RuleState,
)
from sidecar.domain.limits import Reading
from sidecar.domain.modes import Mode
from sidecar.domain.request import CheckRequest, Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.policy import ruling
from sidecar.policy.compiled import Asked, CompiledRule
from sidecar.policy.conditions import Condition, Context
from sidecar.policy.snapshot import PolicySet
from tests.unit.world import NOW, ask, counters, decide, policies, subscribed

POLICY = """
    mode: enforce
    defaults: {plan: free, failure_mode: closed}
    subscription:
      active: [active, trialing]
      grace: {past_due: 3d}
      trial: {plan: pro, days: 14}
    constants: {soft: 0.5}
    variables:
      - {name: big, expr: request.estimated_tokens > 400}
      - {name: share, expr: 100 / request.estimated_tokens}
    plans:
      free:
        plugins:
          allow: ["basic_*", "old_?"]
          deny: ["basic_admin*"]
        features: {code: false, chat: true}
        tokens_per_month: 1000
        limits:
          - {id: gpt4, meter: requests, max: 5, window: day, when: request.model == "gpt-4"}
          - {id: odd, meter: requests, max: 5, window: hour, when: vars.share > 3}
          - {id: burst, meter: tokens, max: 100, window: 1m, mode: advisory, warn_at: 0.5}
          - {id: watched, meter: tokens, max: null, window: lifetime}
          - {id: silent, meter: tokens, max: 10, window: week, mode: "off"}
      pro: {extends: free, plugins: ["*"], features: {"*": true}}
    rules:
      - {id: for-pro, match: {plans: [pro]}, effect: warn, message: m}
      - {id: for-another, match: {plugins: [other, "x_*"]}, effect: warn, message: m}
      - {id: always, match: {plans: [free]}, effect: warn, mode: advisory, message: Welcome.}
      - id: full
        match: {plans: [free]}
        when: |
          vars.big &&
            limits["free-tokens-per-month"].ratio > constants.soft
        effect: deny
        on_error: deny
        message: Half of it is used.
        message_expr: '"used by " + request.user_id'
      - id: unsure
        match: {plans: [free]}
        when: vars.share > 3
        effect: deny
        on_error: warn
        message: Unsure.
      - id: not-yet
        match: {plans: [free]}
        when: vars.big
        effect: deny
        on_error: skip
        mode: advisory
        message: Big.
    overrides:
      - {id: whole-app, for: {apps: [acme]}, limit: burst, max: 2000, until: "2026-12-31T00:00:00Z"}
      - {id: for-bob, for: {users: [bob]}, limit: burst, max: 50}
      - {id: over, for: {tenants: [t]}, limit: gpt4, max: 9, until: "2026-01-01T00:00:00Z"}
      - {id: to-come, for: {apps: [acme]}, limit: gpt4, max: 9, from: "2027-01-01T00:00:00Z"}
      - {id: others, for: {users: [ann, cid, dan, eve]}, limit: gpt4, max: 9}
"""
LINES = POLICY.splitlines()


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    """The policy above."""
    return policies(tmp_path_factory.mktemp("policies"), POLICY)


def explain(
    rules: PolicySet,
    request: CheckRequest,
    subscription: Subscription | None = None,
    used: Mapping[str, int] | None = None,
    *,
    trace: bool = False,
) -> Explanation:
    subscription = subscription or subscribed()
    entitlement = rules.resolve(subscription, request, NOW)
    readings = counters(entitlement, used)
    return rules.explain(request, subscription, readings, NOW, trace=trace)


def limit(explanation: Explanation, name: str) -> ExplainedLimit:
    return next(each for each in explanation.limits if each.id == name)


def rule(explanation: Explanation, name: str) -> ExplainedRule:
    return next(each for each in explanation.rules if each.id == name)


def override(explained: ExplainedLimit, name: str) -> ExplainedOverride:
    return next(each for each in explained.overrides if each.id == name)


def line_of(text: str) -> int:
    """Where a text stands in the file, behind its header."""
    return 4 + next(at for at, line in enumerate(LINES) if text in line)


# -- subscription and plan --------------------------------------------------------------------

DAY = timedelta(days=1)
SINCE = NOW - 2 * DAY


@pytest.mark.parametrize(
    ("subscription", "source", "plan", "does", "why"),
    [
        (
            subscribed("pro"), PlanSource.SUBSCRIPTION, "pro", Does.NOTHING,
            "the subscription is active, so its plan holds",
        ),
        (
            subscribed("pro", Status.CANCELED), PlanSource.DEFAULT, "free", Does.NOTHING,
            "the subscription is canceled, which is none of active, trialing, "
            "so the default plan holds",
        ),
        (
            Subscription("bob"), PlanSource.DEFAULT, "free", Does.NOTHING,
            "no subscription was ever synced, so the default plan holds",
        ),
        (
            Subscription("bob", plan="pro", status=Status.PAST_DUE, updated_at=SINCE),
            PlanSource.GRACE, "pro", Does.WARNS,
            "past_due since 2026-05-03 21:30:00Z; its plan holds for 3d",
        ),
        (
            Subscription("bob", plan="pro", status=Status.PAST_DUE, updated_at=SINCE - 5 * DAY),
            PlanSource.DEFAULT, "free", Does.NOTHING,
            "past_due since 2026-04-28 21:30:00Z, longer than 3d, so the default plan holds",
        ),
        (
            Subscription("bob", status=Status.TRIALING, updated_at=SINCE),
            PlanSource.TRIAL, "pro", Does.NOTHING,
            "a trial that names no plan has the plan of the policy's trial",
        ),
        (
            Subscription("bob", status=Status.TRIALING, updated_at=SINCE - 14 * DAY),
            PlanSource.DEFAULT, "free", Does.NOTHING,
            "the trial began 2026-04-19 21:30:00Z and lasted 14d, so the default plan holds",
        ),
        (
            Subscription("bob", plan="pro", status=Status.TRIALING, trial_end=SINCE),
            PlanSource.DEFAULT, "free", Does.NOTHING,
            "the trial ended 2026-05-03 21:30:00Z, so the default plan holds",
        ),
        (
            Subscription(
                "bob", plan="pro", status=Status.ACTIVE, cancel_at_period_end=True, period_end=SINCE
            ),
            PlanSource.DEFAULT, "free", Does.NOTHING,
            "cancelled for the end of its period, 2026-05-03 21:30:00Z, so the default plan holds",
        ),
        (
            Subscription(
                "bob", plan="pro", status=Status.PAST_DUE, updated_at=SINCE,
                cancel_at_period_end=True, next_billing_date=SINCE + DAY,
            ),
            PlanSource.DEFAULT, "free", Does.NOTHING,
            "cancelled for the end of its period, 2026-05-04 21:30:00Z, so the default plan holds",
        ),
        (
            Subscription(
                "bob", plan="pro", status=Status.TRIALING, trial_end=NOW + DAY,
                cancel_at_period_end=True, period_end=SINCE,
            ),
            PlanSource.DEFAULT, "free", Does.NOTHING,
            "cancelled for the end of its period, 2026-05-03 21:30:00Z, so the default plan holds",
        ),
        (
            subscribed("gold"), PlanSource.UNKNOWN, None, Does.DENIES,
            "the subscription is active, but no policy knows its plan 'gold'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_plan_says_how_it_came_about(
    rules: PolicySet,
    subscription: Subscription,
    source: PlanSource,
    plan: str | None,
    does: Does,
    why: str,
) -> None:
    told = explain(rules, ask(), subscription).plan

    assert (told.source, told.plan, told.does, told.why) == (source, plan, does, why)
    assert (told.place and told.place.line) == (plan and line_of(f"      {plan}:"))


def test_without_a_default_plan_there_may_be_none(tmp_path: Path) -> None:
    rules = policies(tmp_path, 'plans: {free: {plugins: ["*"]}}\n')

    explained = explain(rules, ask(plugin="p"), Subscription("bob"))

    assert explained.plan.source is PlanSource.NONE
    assert explained.plan.why == "no subscription was ever synced, and there is no default plan"
    assert explained.plan.does is Does.WOULD_DENY
    assert (explained.names, explained.limits) == ((), ())


def test_a_subscription_that_cannot_be_had_is_told(rules: PolicySet) -> None:
    explained = rules.explain(ask(), None, None, NOW)

    assert explained.plan.source is PlanSource.UNAVAILABLE
    assert explained.plan.does is Does.DENIES
    assert rule(explained, "always").why == "no plan is in force"


# -- plugin and feature -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugin", "included", "decided_by", "why", "at"),
    [
        ("basic_x", True, "basic_*", "allow names 'basic_*'", "allow:"),
        ("old_1", True, "old_?", "allow names 'old_?'", "allow:"),
        ("basic_admin1", False, "basic_admin*", "deny names 'basic_admin*'", "deny:"),
        ("other", False, None, "allow names 'basic_*', 'old_?' only", "plugins:"),
    ],
)
def test_the_glob_that_decides_on_a_plugin_is_named(
    rules: PolicySet, plugin: str, included: bool, decided_by: str | None, why: str, at: str
) -> None:
    (told,) = explain(rules, ask(plugin=plugin)).names

    assert (told.included, told.decided_by, told.why) == (included, decided_by, why)
    assert told.does is (Does.NOTHING if included else Does.DENIES)
    assert told.place is not None
    assert told.place.line == line_of(at)


@pytest.mark.parametrize(
    ("plan", "feature", "included", "why", "at"),
    [
        ("free", "chat", True, "features says chat: true", "features: {code"),
        ("free", "code", False, "features says code: false", "features: {code"),
        ("free", "fly", False, "features does not name it, nor '*'", "      free:"),
        ("pro", "code", False, "features says code: false", "features: {code"),
        ("pro", "fly", True, "features says *: true", "pro: {extends"),
    ],
)
def test_what_decides_on_a_feature_is_named_where_it_is_written(
    rules: PolicySet, plan: str, feature: str, included: bool, why: str, at: str
) -> None:
    (told,) = explain(rules, ask(feature=feature), subscribed(plan)).names

    assert (told.included, told.why) == (included, why)
    assert told.place is not None
    assert told.place.line == line_of(at)


# -- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "used", "tokens", "does", "why"),
    [
        ("free-tokens-per-month", 600, 400, Does.NOTHING, "600 used + 400 asked ≤ 1,000"),
        ("free-tokens-per-month", 601, 400, Does.DENIES, "601 used + 400 asked > 1,000"),
        ("burst", 50, 0, Does.WOULD_DENY, "50 used + 0 asked leaves nothing of 50"),
        ("burst", 20, 4, Does.NOTHING, "20 used + 4 asked ≤ 50"),
        ("burst", 20, 5, Does.WARNS, "20 used + 5 asked ≤ 50, and warn_at is reached at 25"),
        ("burst", 20, 31, Does.WOULD_DENY, "20 used + 31 asked > 50"),
        ("watched", 9, 7, Does.NOTHING, "9 used + 7 asked; there is no bound, it only counts"),
        ("silent", 9, 2, Does.NOTHING, "9 used + 2 asked > 10; mode off, it only counts"),
    ],
)  # fmt: skip
def test_a_limit_tells_its_sum_and_what_follows(
    rules: PolicySet, name: str, used: int, tokens: int, does: Does, why: str
) -> None:
    told = limit(explain(rules, ask(tokens=tokens), used={name: used}), name)

    assert (told.applies, told.does, told.why) == (True, does, why)
    assert told.numbers is not None
    assert (told.numbers.used, told.numbers.requested) == (used, tokens)


def test_reserved_and_granted_units_are_in_the_sum(rules: PolicySet) -> None:
    request, subscription = ask(tokens=400), subscribed()
    charges = rules.resolve(subscription, request, NOW).charges
    readings = [Reading(it.limit, 500, 70, it.amount, None, granted=30) for it in charges]

    told = limit(rules.explain(request, subscription, readings, NOW), "free-tokens-per-month")

    assert told.why == "500 used + 70 reserved + 400 asked ≤ 1,000 + 30 granted"


def test_a_limit_whose_when_is_false_does_not_apply_and_has_no_numbers(rules: PolicySet) -> None:
    told = limit(explain(rules, ask(model="claude")), "gpt4")

    assert (told.applies, told.why, told.numbers) == (False, "its when is false", None)
    (when,) = told.expressions
    assert (when.text, when.value) == ('request.model == "gpt-4"', "false")


def test_a_limit_whose_when_errs_applies_and_says_so(rules: PolicySet) -> None:
    told = limit(explain(rules, ask(tokens=0)), "odd")

    assert told.applies
    assert told.why.startswith("its when cannot be evaluated (divi")
    assert told.why.endswith("so it applies; 0 used + 1 asked ≤ 5")
    (variable, _) = told.expressions
    assert (variable.name, variable.failed) == ("vars.share", True)


def test_where_counters_cannot_be_read_the_failure_mode_speaks(rules: PolicySet) -> None:
    explained = rules.explain(ask(), subscribed(), None, NOW)

    assert (explained.counters, explained.missing) == (False, Does.DENIES)
    told = limit(explained, "free-tokens-per-month")
    assert told.why == "its counter could not be read; failure_mode closed"
    assert explained.effect is Effect.DENY


def test_a_limit_stands_where_it_is_written(rules: PolicySet) -> None:
    explained = explain(rules, ask(), subscribed("pro"))

    assert limit(explained, "free-tokens-per-month").place.line == line_of("tokens_per_month")
    assert limit(explained, "burst").place.line == line_of("id: burst")


def test_overrides_say_which_holds_and_why_the_others_do_not(rules: PolicySet) -> None:
    explained = explain(rules, ask(model="gpt-4"))

    burst, gpt4 = limit(explained, "burst"), limit(explained, "gpt4")
    assert (burst.maximum, burst.written) == (50, 100)
    assert [(it.id, it.holds, it.why) for it in burst.overrides] == [
        ("for-bob", True, "holds"),
        ("whole-app", False, "for-bob is for fewer"),
    ]
    assert (gpt4.maximum, gpt4.written) == (5, None)
    assert override(gpt4, "over").why == "for tenant t, not none"
    assert override(gpt4, "to-come").why == "begins 2027-01-01 00:00:00Z"
    assert override(gpt4, "others").why == "for 4 users, not bob"
    ann = Subject("acme", "x", "t")
    told = explain(rules, ask(subject=ann, model="gpt-4"))
    assert override(limit(told, "gpt4"), "over").why == "ended 2026-01-01 00:00:00Z"
    assert override(limit(told, "burst"), "whole-app").why == "holds until 2026-12-31 00:00:00Z"


def test_of_many_overrides_those_of_the_subject_are_told_and_the_others_counted(
    tmp_path: Path,
) -> None:
    many = "".join(
        f"      - {{id: o{at}, for: {{users: [u{at}]}}, limit: a, max: {at}}}\n"
        for at in range(100)
    )
    rules = policies(
        tmp_path,
        'plans: {free: {plugins: ["*"], limits: [{id: a, meter: requests, max: 1, window: day}]}}\n'
        f"overrides:\n{many}",
    )

    told = limit(explain(rules, ask(subject=Subject("acme", "u77"))), "a")

    assert (told.overrides[0].id, told.overrides[0].holds) == ("o77", True)
    assert (len(told.overrides), told.more_overrides) == (20, 80)


# -- rules ------------------------------------------------------------------------------------


def test_each_rule_says_how_far_it_came(rules: PolicySet) -> None:
    request = ask(plugin="basic_x", tokens=500)
    explained = explain(rules, request, used={"free-tokens-per-month": 600})

    told = {it.id: (it.state, it.does, it.why) for it in explained.rules}
    assert told == {
        "for-pro": (RuleState.OTHER_PLAN, Does.NOTHING, "for pro, not free"),
        "for-another": (RuleState.OTHER_PLUGIN, Does.NOTHING, "for other, x_*, not basic_x"),
        "always": (RuleState.TRUE, Does.WARNS, "it has no when"),
        "full": (RuleState.TRUE, Does.DENIES, "its when is true"),
        "unsure": (RuleState.FALSE, Does.NOTHING, "its when is false"),
        "not-yet": (RuleState.TRUE, Does.WOULD_DENY, "its when is true"),
    }
    assert rule(explained, "full").message == "used by bob"
    assert rule(explained, "unsure").would is Does.DENIES
    assert rule(explained, "unsure").message is None


def test_a_rule_for_plugins_where_none_is_asked_for(rules: PolicySet) -> None:
    told = rule(explain(rules, ask()), "for-another")

    assert told.why == "for other, x_*, and no plugin is asked for"


def test_a_rule_that_errs_does_what_on_error_says(rules: PolicySet) -> None:
    told = rule(explain(rules, ask(tokens=0)), "unsure")

    assert (told.state, told.does, told.on_error) == (RuleState.ERROR, Does.WARNS, "warn")
    assert told.why.startswith("its when cannot be evaluated (divi")
    assert told.why.endswith("; on_error warn")
    assert told.message == "Unsure."


def test_a_message_that_cannot_be_computed_is_told(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        plans: {free: {plugins: ["*"]}}
        rules:
          - {id: r, effect: warn, message: m, message_expr: string(1 / request.estimated_tokens)}
        """,
    )

    told = rule(explain(rules, ask()), "r")

    assert told.message == "m"
    assert told.why.startswith("it has no when; message_expr: divi")


# -- expressions and counts -------------------------------------------------------------------


def test_a_trace_has_every_part_with_its_line_and_column(rules: PolicySet) -> None:
    told = rule(
        explain(rules, ask(tokens=500), used={"free-tokens-per-month": 600}, trace=True), "full"
    )

    variable, when, message = told.expressions
    assert (variable.name, when.name, message.name) == ("vars.big", "when", "message_expr")
    steps = {
        step.text: (step.value, step.place and (step.place.line, step.place.column))
        for each in told.expressions
        for step in each.steps
    }
    first, second = line_of("vars.big &&"), line_of('limits["free-tokens-per-month"]')
    assert steps["vars.big"] == ("true", (first, 7))
    assert steps['limits["free-tokens-per-month"].ratio'] == ("0.6", (second, 9))
    assert steps["constants.soft"] == ("0.5", (second, 49))
    assert steps['limits["free-tokens-per-month"].ratio > constants.soft'][0] == "true"
    column = LINES[line_of("name: big") - 4].index("request.est") - 4 + 1
    assert steps["request.estimated_tokens"] == ("500", (line_of("name: big"), column))
    assert steps["request.user_id"] == ('"bob"', (line_of("message_expr"), 33))


def test_without_a_trace_the_values_alone_are_told(rules: PolicySet) -> None:
    told = rule(explain(rules, ask(tokens=500)), "full")

    assert [(each.name, each.value, each.steps) for each in told.expressions] == [
        ("vars.big", "true", ()),
        ("when", "false", ()),
    ]


def test_a_trace_of_what_failed_names_the_part(rules: PolicySet) -> None:
    told = rule(explain(rules, ask(tokens=0), trace=True), "unsure")

    variable, when = told.expressions
    assert [step.text for step in variable.steps if step.failed] == [
        "100 / request.estimated_tokens"
    ]
    assert (when.failed, when.steps) == (True, ())


def test_rules_and_expressions_are_counted(rules: PolicySet) -> None:
    counts = explain(rules, ask(plugin="basic_x", tokens=500)).counts

    assert (counts.rules, counts.rules_of_plan, counts.rules_touched) == (6, 5, 4)
    # Of limits: two, and the variable of one; of rules that read no counter: two, and both
    # variables; of the one that reads one: it and its variable.
    assert counts.expressions == 3 + 4 + 2
    assert counts.cost > counts.expressions


def test_the_counts_are_those_of_the_decision(
    rules: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, subscription = ask(plugin="basic_x", tokens=500), subscribed()
    counts = explain(rules, request, subscription).counts
    asked: set[tuple[int, int]] = set()
    evaluate, speaking = Context.evaluate, ruling.speaking

    def note(context: Context, condition: Condition) -> None:
        kept.append(context)
        asked.add((id(context), id(condition)))
        asked.update((id(context), id(condition.scope.variables[it])) for it in condition.variables)

    def noted(self: Context, condition: Condition) -> object:
        note(self, condition)
        return evaluate(self, condition)

    def noted_together(together: Asked, context: Context) -> Sequence[CompiledRule]:
        for rule, _ in together.tests:
            if rule.when is not None:
                note(context, rule.when)
        return speaking(together, context)

    kept: list[Context] = []
    monkeypatch.setattr(Context, "evaluate", noted)
    monkeypatch.setattr(ruling, "speaking", noted_together)
    decide(rules, request, subscription)

    assert len(asked) == counts.expressions


def test_rules_that_were_not_looked_at_can_be_left_out(rules: PolicySet) -> None:
    request, subscription = ask(plugin="basic_x"), subscribed()
    readings = counters(rules.resolve(subscription, request, NOW))

    told = rules.explain(request, subscription, readings, NOW, every_rule=False)

    assert [each.id for each in told.rules] == ["always", "full", "unsure", "not-yet"]
    assert told.counts.rules == 6


# -- the whole --------------------------------------------------------------------------------


def spoken(explanation: Explanation) -> set[tuple[str, Does]]:
    """What does something, by the id that its reason has."""
    plan = explanation.plan
    parts = [
        ("subscription", plan.does),
        *((f"{plan.plan}.{it.kind}s", it.does) for it in explanation.names),
        *((it.id, it.does) for it in explanation.limits),
        *((it.id, it.does) for it in explanation.rules),
    ]
    return {(name, does) for name, does in parts if does is not Does.NOTHING}


def does_of(reason: Reason) -> Does:
    if reason.effect is Effect.WARN:
        return Does.WARNS
    return Does.DENIES if reason.mode is Mode.ENFORCE else Does.WOULD_DENY


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    plugin=st.sampled_from(["", "basic_x", "basic_admin", "x_1", "other"]),
    feature=st.sampled_from(["", "code", "chat", "fly"]),
    model=st.sampled_from(["", "gpt-4"]),
    tokens=st.sampled_from([0, 5, 30, 401, 2_000]),
    plan=st.sampled_from(["free", "pro", "gold"]),
    status=st.sampled_from([Status.ACTIVE, Status.PAST_DUE, Status.CANCELED]),
    used=st.integers(0, 1_200),
)
def test_what_is_explained_is_what_was_decided(
    rules: PolicySet,
    plugin: str,
    feature: str,
    model: str,
    tokens: int,
    plan: str,
    status: Status,
    used: int,
) -> None:
    request = ask(plugin=plugin, feature=feature, model=model, tokens=tokens)
    subscription = subscribed(plan, status)
    filled = dict.fromkeys(("free-tokens-per-month", "gpt4", "burst", "silent"), used)

    verdict = decide(rules, request, subscription, filled)
    explained = explain(rules, request, subscription, filled)

    assert spoken(explained) == {(reason.id, does_of(reason)) for reason in verdict.reasons}
    assert explained.effect is verdict.effect


def test_as_plain_values_it_has_what_json_has_words_for(rules: PolicySet) -> None:
    plain = explain(rules, ask(tokens=500), trace=True).as_plain()

    def kinds(value: object) -> set[type]:
        match value:
            case dict():
                return {dict}.union(*map(kinds, value.values()))
            case list():
                return {list}.union(*map(kinds, value))
        return {type(value)}

    assert kinds(plain) <= {dict, list, str, int, bool, type(None)}
    assert plain["at"] == "2026-05-05T21:30:00Z"
