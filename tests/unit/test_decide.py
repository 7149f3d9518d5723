"""What is concluded from the plan, the readings and the rules?"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sidecar.domain.decision import Effect, Reason, Remedy, RemedyKind
from sidecar.domain.limits import Reading
from sidecar.domain.modes import Ceiling, Refusal
from sidecar.domain.prices import Rates
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Status, Subscription
from sidecar.policy.prices import PriceList
from sidecar.policy.remedies import Urls
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.verdict import Verdict
from tests.unit.world import (
    LATER,
    NOW,
    ask,
    codes,
    counters,
    decide,
    ids,
    policies,
    subscribed,
)

LIMITED = """
mode: {mode}
plans:
  free:
    plugins: ["*"]
    limits:
      - {{id: daily, meter: tokens, max: 100, window: day, warn_at: 0.8{own}}}
"""


def limited(directory: Path, mode: str = "enforce", own: str = "") -> PolicySet:
    return policies(directory, LIMITED.format(mode=mode, own=own))


# -- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "tokens", "effect", "code"),
    [
        (0, 0, Effect.ALLOW, None),
        (70, 9, Effect.ALLOW, None),
        (70, 10, Effect.WARN, "quota_warning"),
        (100, 0, Effect.DENY, "quota_exceeded"),
        (70, 30, Effect.WARN, "quota_warning"),
        (70, 31, Effect.DENY, "quota_exceeded"),
    ],
)
def test_a_limit_allows_warns_and_denies(
    tmp_path: Path, used: int, tokens: int, effect: Effect, code: str | None
) -> None:
    verdict = decide(limited(tmp_path), ask(tokens=tokens), subscribed(), {"daily": used})
    assert (verdict.effect, codes(verdict)) == (effect, [code] if code else [])


@pytest.mark.parametrize(
    ("mode", "own", "effect", "count"),
    [
        ("enforce", "", Effect.DENY, 1),
        ("advisory", "", Effect.WARN, 1),
        ("enforce", ", mode: advisory", Effect.WARN, 1),
        ("off", "", Effect.ALLOW, 0),
        ("enforce", ", mode: off", Effect.ALLOW, 0),
    ],
)
def test_the_mode_decides_what_an_exceeded_limit_does(
    tmp_path: Path, mode: str, own: str, effect: Effect, count: int
) -> None:
    verdict = decide(limited(tmp_path, mode, own), ask(tokens=1), subscribed(), {"daily": 100})
    assert (verdict.effect, len(verdict.reasons)) == (effect, count)


def test_an_exceeded_limit_speaks_with_its_own_words_and_status(tmp_path: Path) -> None:
    rules = limited(tmp_path, own=", message: Slow down., status: 429")
    [reason] = decide(rules, ask(), subscribed(), {"daily": 100}).reasons
    assert (reason.message, reason.refusal) == ("Slow down.", Refusal.TOO_MANY_REQUESTS)


def test_an_exceeded_limit_without_words_says_its_numbers(tmp_path: Path) -> None:
    [reason] = decide(limited(tmp_path), ask(tokens=5), subscribed(), {"daily": 98}).reasons
    assert reason.message == "The plan allows 100 tokens today (UTC); 98 used, 5 asked for."


@pytest.mark.parametrize("used", [0, 98])
def test_a_request_larger_than_the_whole_limit_is_told_that_it_never_fits(
    tmp_path: Path, used: int
) -> None:
    [reason] = decide(limited(tmp_path), ask(tokens=101), subscribed(), {"daily": used}).reasons
    assert (reason.code, reason.message) == (
        "quota_exceeded",
        "The plan allows 100 tokens today (UTC); this request alone asks for 101, "
        "so it can never fit, however long one waits.",
    )


def test_a_request_that_an_empty_limit_has_room_for_is_told_what_is_used(tmp_path: Path) -> None:
    [reason] = decide(limited(tmp_path), ask(tokens=100), subscribed(), {"daily": 1}).reasons
    assert reason.message == "The plan allows 100 tokens today (UTC); 1 used, 100 asked for."


def test_too_many_at_once_have_a_reason_of_their_own(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans:
          free: {plugins: [], limits: [{id: at-once, meter: concurrency, max: 2}]}
        """,
    )
    verdict = decide(rules, ask(), subscribed(), {"at-once": 2})
    assert codes(verdict) == ["concurrency_exceeded"]
    assert decide(rules, ask(), subscribed(), {"at-once": 1}).effect is Effect.ALLOW


def test_every_exceeded_limit_is_told_longest_window_first(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans:
          free:
            plugins: []
            limits:
              - {id: minute, meter: tokens, max: 1, window: 1m}
              - {id: day, meter: tokens, max: 1, window: day}
        """,
    )
    verdict = decide(rules, ask(tokens=2), subscribed())
    assert ids(verdict) == ["day", "minute"]


# -- rules --------------------------------------------------------------------------------------

RULES = """
mode: enforce
plans:
  free: {plugins: ["*"]}
  pro: {plugins: ["*"]}
rules:
"""


def with_rules(directory: Path, *rules: str, above: str = "") -> PolicySet:
    return policies(directory, RULES + "".join(f"  - {rule}\n" for rule in rules) + above)


def test_a_rule_without_a_condition_always_holds(tmp_path: Path) -> None:
    rules = with_rules(tmp_path, "{id: r, effect: warn, message: Hello.}")
    verdict = decide(rules, ask(), subscribed())
    assert (verdict.effect, codes(verdict), ids(verdict)) == (Effect.WARN, ["rule_warned"], ["r"])
    assert verdict.reasons[0].message == "Hello."


@pytest.mark.parametrize(
    ("plan", "plugin", "effect"),
    [
        ("free", "code_run", Effect.DENY),
        ("free", "search", Effect.ALLOW),
        ("free", "", Effect.ALLOW),
        ("pro", "code_run", Effect.ALLOW),
    ],
)
def test_a_rule_looks_at_the_plans_and_plugins_that_it_names(
    tmp_path: Path, plan: str, plugin: str, effect: Effect
) -> None:
    rules = with_rules(
        tmp_path,
        '{id: r, match: {plans: [free], plugins: ["code_*"]}, effect: deny, message: No.}',
    )
    assert decide(rules, ask(plugin=plugin), subscribed(plan)).effect is effect


def test_a_denying_rule_gives_its_status(tmp_path: Path) -> None:
    rules = with_rules(tmp_path, "{id: r, effect: deny, status: 403, message: No.}")
    verdict = decide(rules, ask(), subscribed())
    assert codes(verdict) == ["rule_denied"]
    assert verdict.reasons[0].refusal is Refusal.FORBIDDEN


@pytest.mark.parametrize(
    ("on_error", "effect", "reasons"),
    [
        ("deny", Effect.DENY, ["rule_error"]),
        ("warn", Effect.WARN, ["rule_error"]),
        ("skip", Effect.ALLOW, []),
    ],
)
def test_a_condition_that_errs_means_what_on_error_says(
    tmp_path: Path, on_error: str, effect: Effect, reasons: list[str]
) -> None:
    rules = with_rules(
        tmp_path,
        f"{{id: r, effect: deny, on_error: {on_error}, message: M, "
        "when: 'has(request.attributes.n) && request.attributes.n > 1'}",
    )
    verdict = decide(rules, ask(attributes={"n": "many"}), subscribed())
    assert (verdict.effect, codes(verdict)) == (effect, reasons)
    assert [error.id for error in verdict.errors] == ["r"]


def test_a_warning_rule_that_errs_is_skipped_and_told(tmp_path: Path) -> None:
    rules = with_rules(
        tmp_path,
        "{id: r, effect: warn, message: M, "
        "when: 'has(request.attributes.n) && request.attributes.n > 1'}",
    )
    verdict = decide(rules, ask(attributes={"n": "many"}), subscribed())
    assert (verdict.effect, [error.id for error in verdict.errors]) == (Effect.ALLOW, ["r"])


def test_an_error_that_the_other_side_decides_is_no_error(tmp_path: Path) -> None:
    rules = with_rules(
        tmp_path,
        "{id: r, effect: warn, message: M, "
        "when: 'int(request.model) > 1 || request.action == \"run\"'}",
    )
    verdict = decide(rules, ask(action="run", attributes={"n": "many"}), subscribed())
    assert (verdict.effect, verdict.errors) == (Effect.WARN, ())


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('"Not now, " + request.user_id', "Not now, bob"),
        ('""', "Static."),
        ("string(int(request.model))", "Static."),
    ],
)
def test_a_computed_message_falls_back_to_the_static_one(
    tmp_path: Path, expression: str, message: str
) -> None:
    rules = with_rules(
        tmp_path, f"{{id: r, effect: warn, message: Static., message_expr: '{expression}'}}"
    )
    [reason] = decide(rules, ask(attributes={"n": "x"}), subscribed()).reasons
    assert reason.message == message


def test_a_rule_sees_constants_variables_and_limits(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        constants: {soft: 0.5}
        variables:
          - {name: near, expr: '"daily" in limits && limits.daily.ratio >= constants.soft'}
          - {name: crowded, expr: vars.near && limits.daily.remaining < 50}
        plans:
          free:
            plugins: []
            limits: [{id: daily, meter: tokens, max: 100, window: day}]
        rules:
          - {id: r, effect: warn, when: vars.crowded, message: Crowded.}
        """,
    )
    assert decide(rules, ask(), subscribed(), {"daily": 51}).effect is Effect.WARN
    assert decide(rules, ask(), subscribed(), {"daily": 50}).effect is Effect.ALLOW


def test_a_limit_that_does_not_apply_is_absent_for_a_rule(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans:
          free:
            plugins: []
            limits: [{id: big, meter: tokens, max: 1, window: day, when: 'request.model == "x"'}]
        rules:
          - {id: r, effect: warn, when: has(limits.big), message: Big.}
        """,
    )
    assert decide(rules, ask(model="x"), subscribed()).effect is Effect.WARN
    assert decide(rules, ask(model="y"), subscribed()).effect is Effect.ALLOW


@pytest.mark.parametrize(("mode", "effect"), [("advisory", Effect.WARN), ("off", Effect.ALLOW)])
def test_a_rule_may_be_milder_than_its_file(tmp_path: Path, mode: str, effect: Effect) -> None:
    rules = with_rules(tmp_path, f"{{id: r, effect: deny, mode: {mode}, message: No.}}")
    assert decide(rules, ask(), subscribed()).effect is effect


def test_under_a_cap_nothing_denies(tmp_path: Path) -> None:
    text = RULES + "  - {id: r, effect: deny, message: No.}\n"
    rules = policies(tmp_path, text, ceiling=Ceiling.CAPPED)
    verdict = decide(rules, ask(), subscribed("gold"))
    assert verdict.effect is Effect.WARN


# -- order --------------------------------------------------------------------------------------

EVERYTHING = """
mode: enforce
subscription: {grace: {past_due: 3d}}
plans:
  free:
    plugins: []
    limits: [{id: daily, meter: tokens, max: 1, window: day}]
rules:
  - {id: first, effect: warn, message: M}
  - {id: second, effect: deny, message: M}
"""


def everything(rules: PolicySet) -> Verdict:
    late = subscribed("free", Status.PAST_DUE)
    return decide(rules, ask(plugin="a", feature="f", tokens=2), late)


def test_reasons_stand_in_their_order_with_denies_in_front(tmp_path: Path) -> None:
    assert ids(everything(policies(tmp_path, EVERYTHING))) == [
        "free.plugins", "free.features", "daily", "second", "subscription", "first"
    ]  # fmt: skip


def test_where_nothing_denies_the_order_is_that_of_the_contract(tmp_path: Path) -> None:
    verdict = everything(policies(tmp_path, EVERYTHING, ceiling=Ceiling.CAPPED))
    assert ids(verdict) == [
        "subscription", "free.plugins", "free.features", "daily", "first", "second"
    ]  # fmt: skip
    assert verdict.effect is Effect.WARN


def test_an_off_file_counts_and_gives_no_reasons(tmp_path: Path) -> None:
    rules = policies(tmp_path, EVERYTHING.replace("mode: enforce", "mode: off"))
    verdict = everything(rules)
    assert (verdict.effect, verdict.reasons) == (Effect.ALLOW, ())


# -- missing facts ------------------------------------------------------------------------------


def without_readings(rules: PolicySet, request: CheckRequest | None = None) -> Verdict:
    entitlement = rules.resolve(subscribed(), request or ask(), NOW)
    return rules.decide(request or ask(), entitlement, None, NOW)


@pytest.mark.parametrize(
    ("mode", "own", "effect"),
    [
        ("enforce", ", failure_mode: closed", Effect.DENY),
        ("enforce", ", failure_mode: open", Effect.ALLOW),
        ("enforce", "", Effect.ALLOW),
        ("advisory", ", failure_mode: closed", Effect.WARN),
        ("off", ", failure_mode: closed", Effect.ALLOW),
        ("enforce", ", failure_mode: closed, mode: advisory", Effect.WARN),
    ],
)
def test_the_failure_mode_speaks_where_counters_cannot_be_read(
    tmp_path: Path, mode: str, own: str, effect: Effect
) -> None:
    verdict = without_readings(limited(tmp_path, mode, own))
    assert (verdict.effect, verdict.degraded) == (effect, True)


def test_a_store_that_cannot_be_read_is_a_503(tmp_path: Path) -> None:
    [reason] = without_readings(limited(tmp_path, own=", failure_mode: closed")).reasons
    assert (reason.code.value, reason.refusal) == ("store_unavailable", Refusal.UNAVAILABLE)


def test_a_closed_limit_without_a_bound_refuses_nothing(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        defaults: {failure_mode: closed}
        plans: {free: {plugins: [], tokens_per_month: null}}
        """,
    )
    assert without_readings(rules).effect is Effect.ALLOW


def test_what_the_plan_refuses_is_refused_without_readings_too(tmp_path: Path) -> None:
    rules = policies(tmp_path, EVERYTHING)
    verdict = without_readings(rules, ask(plugin="a"))
    assert ids(verdict) == ["free.plugins", "second", "first"]
    assert verdict.remedies == ()


def test_limits_are_absent_for_rules_where_they_could_not_be_read(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        LIMITED.format(mode="enforce", own="")
        + "rules: [{id: r, effect: warn, when: has(limits.daily), message: M}]\n",
    )
    assert without_readings(rules).effect is Effect.ALLOW
    assert decide(rules, ask(), subscribed()).effect is Effect.WARN


@pytest.mark.parametrize(
    ("failure_mode", "effect"), [("closed", Effect.DENY), ("open", Effect.ALLOW)]
)
def test_a_subscription_that_could_not_be_had_is_the_failure_modes_to_judge(
    tmp_path: Path, failure_mode: str, effect: Effect
) -> None:
    rules = policies(
        tmp_path,
        f"""
        mode: enforce
        defaults: {{plan: free, failure_mode: {failure_mode}}}
        plans: {{free: {{plugins: []}}}}
        """,
    )
    entitlement = rules.resolve(None, ask(), NOW)
    verdict = rules.decide(ask(), entitlement, (), NOW)
    assert (verdict.effect, verdict.degraded, verdict.remedies) == (effect, True, ())


def test_with_every_fact_nothing_is_degraded(tmp_path: Path) -> None:
    assert not decide(limited(tmp_path), ask(), subscribed()).degraded


# -- remedies -----------------------------------------------------------------------------------

LADDER = """
mode: enforce
plans:
  small: {plugins: ["basic_*"], tokens_per_month: 10}
  medium: {extends: small, tokens_per_month: 100}
  large: {extends: small, plugins: ["*"], tokens_per_month: 1000}
"""


def remedy(verdict: Verdict, kind: RemedyKind) -> Remedy | None:
    return next((it for it in verdict.remedies if it.kind is kind), None)


def upgrade(
    rules: PolicySet,
    request: CheckRequest,
    used: int,
    subscription: Subscription | None = None,
) -> str | None:
    monthly = {"small-tokens-per-month": used, "medium-tokens-per-month": used}
    found = remedy(decide(rules, request, subscription or subscribed("small"), monthly),
                   RemedyKind.UPGRADE)  # fmt: skip
    return None if found is None else found.plan


@pytest.mark.parametrize(
    ("plugin", "tokens", "used", "plan"),
    [
        ("basic_x", 1, 10, "medium"),
        ("basic_x", 1, 100, "large"),
        ("admin", 1, 0, "large"),
        ("admin", 1, 1000, None),
        ("basic_x", 5000, 0, None),
    ],
)
def test_an_upgrade_is_the_first_plan_that_would_allow(
    tmp_path: Path, plugin: str, tokens: int, used: int, plan: str | None
) -> None:
    request = ask(plugin=plugin, tokens=tokens)
    assert upgrade(policies(tmp_path, LADDER), request, used) == plan


def test_a_plan_before_the_own_one_is_offered_too_where_it_would_allow(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans:
          all: {plugins: ["*"]}
          some: {plugins: [a]}
        """,
    )
    assert upgrade(rules, ask(plugin="b"), 0, subscribed("some")) == "all"


def test_a_rule_of_the_offered_plan_is_asked_too(tmp_path: Path) -> None:
    rule = "rules: [{id: r, match: {plans: [medium]}, effect: deny, message: M}]\n"
    rules = policies(tmp_path, LADDER + rule)
    assert upgrade(rules, ask(plugin="basic_x", tokens=1), 10) == "large"


def test_whoever_has_no_plan_is_offered_the_first(tmp_path: Path) -> None:
    canceled = subscribed("small", Status.CANCELED)
    assert upgrade(policies(tmp_path, LADDER), ask(plugin="basic_x"), 0, canceled) == "small"
    assert upgrade(policies(tmp_path, LADDER), ask(plugin="basic_x"), 0, subscribed("x")) == "small"


def test_the_upgrade_url_is_filled_and_escaped(tmp_path: Path) -> None:
    url = "https://pay.example/{app_id}?u={user_id}&p={plan}"
    rules = policies(tmp_path, LADDER, urls=Urls(upgrade=url))
    request = replace(ask(tokens=1), subject=replace(ask().subject, user_id="b/o&b"))
    found = remedy(
        decide(rules, request, subscribed("small"), {"small-tokens-per-month": 10}),
        RemedyKind.UPGRADE,
    )
    assert found is not None
    assert found.url == "https://pay.example/acme?u=b%2Fo%26b&p=medium"


def test_without_a_template_the_url_of_an_upgrade_is_null(tmp_path: Path) -> None:
    found = remedy(
        decide(policies(tmp_path, LADDER), ask(tokens=99), subscribed("small")),
        RemedyKind.UPGRADE,
    )
    assert found == Remedy(RemedyKind.UPGRADE, plan="medium")


ALLOWANCES = """
        mode: {mode}
        plans:
          free:
            plugins: [a]
            tokens_per_month: 100
            limits:
              - {{id: pace, meter: tokens, max: 200, window: day, status: 429}}
              - {{id: daily, meter: tokens, max: 300, window: day}}
              - {{id: at-once, meter: concurrency, max: 2}}
        """
TOP_UP = "https://pay.example/{app_id}?u={user_id}&l={limit}"


@pytest.mark.parametrize(
    ("used", "plugin", "limits"),
    [
        ({"free-tokens-per-month": 100}, "a", ["free-tokens-per-month"]),
        ({"daily": 300}, "a", ["daily"]),
        ({"free-tokens-per-month": 100, "daily": 300}, "a", ["free-tokens-per-month", "daily"]),
        ({"pace": 200}, "a", []),
        ({"at-once": 2}, "a", []),
        ({"free-tokens-per-month": 100, "pace": 200}, "a", []),
        ({"free-tokens-per-month": 100}, "b", []),
        ({}, "b", []),
    ],
)
def test_topping_up_is_a_remedy_where_units_are_all_that_is_lacking(
    tmp_path: Path, used: dict[str, int], plugin: str, limits: list[str]
) -> None:
    rules = policies(tmp_path, ALLOWANCES.format(mode="enforce"), urls=Urls(top_up=TOP_UP))
    verdict = decide(rules, ask(plugin=plugin, tokens=1), subscribed(), used)
    found = [it.limit for it in verdict.remedies if it.kind is RemedyKind.TOP_UP]
    assert (verdict.effect, found) == (Effect.DENY, limits)


def test_the_url_of_a_top_up_is_filled_and_escaped(tmp_path: Path) -> None:
    rules = policies(tmp_path, ALLOWANCES.format(mode="enforce"), urls=Urls(top_up=TOP_UP))
    request = replace(ask(tokens=1), subject=replace(ask().subject, user_id="b/o&b"))
    verdict = decide(rules, request, subscribed(), {"free-tokens-per-month": 100})
    assert [it.kind for it in verdict.remedies] == [RemedyKind.TOP_UP, RemedyKind.WAIT]
    assert verdict.remedies[0].url == "https://pay.example/acme?u=b%2Fo%26b&l=free-tokens-per-month"


def test_where_nobody_sells_units_topping_up_is_no_remedy(tmp_path: Path) -> None:
    rules = policies(tmp_path, ALLOWANCES.format(mode="enforce"), urls=Urls(upgrade="x"))
    verdict = decide(rules, ask(tokens=1), subscribed(), {"free-tokens-per-month": 100})
    assert [it.kind for it in verdict.remedies] == [RemedyKind.WAIT]


def test_what_grants_have_left_is_told_beside_the_allowance(tmp_path: Path) -> None:
    rules = policies(tmp_path, ALLOWANCES.format(mode="enforce"))
    request = ask(tokens=51)
    entitlement = rules.resolve(subscribed(), request, NOW)
    read = counters(entitlement, {"free-tokens-per-month": 100})
    read = tuple(
        replace(reading, granted=50 if reading.limit.id == "free-tokens-per-month" else 0)
        for reading in read
    )
    [reason] = rules.decide(request, entitlement, read, NOW).reasons
    assert reason.message == (
        "The plan allows 100 tokens this billing month and grants have 50 left; "
        "100 used, 51 asked for."
    )
    enough = [replace(reading, requested=min(50, reading.requested)) for reading in read]
    assert rules.decide(request, entitlement, enough, NOW).effect is Effect.ALLOW


def test_a_limit_on_cost_counts_what_the_request_costs(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans:
          free: {plugins: [], limits: [{id: spend, meter: cost, max: 5000000, window: month}]}
        """,
        prices=PriceList("USD", {"m": Rates(10**6, 10**6)}, {}, None, b""),
    )
    request = ask(model="m")
    request = replace(request, estimate=replace(request.estimate, cost=1_000_001))
    [reason] = decide(rules, request, subscribed(), {"spend": 4_000_000}).reasons
    assert reason.message == (
        "The plan allows 5,000,000 micro-units of cost this month (UTC); "
        "4,000,000 used, 1,000,001 asked for."
    )


def test_waiting_is_a_remedy_until_the_last_limit_has_room(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans:
          free:
            plugins: []
            limits:
              - {id: day, meter: tokens, max: 5, window: day}
              - {id: minute, meter: tokens, max: 5, window: 1m}
        """,
    )
    entitlement = rules.resolve(subscribed(), ask(tokens=1), NOW)
    ends = {"day": LATER, "minute": NOW + timedelta(seconds=30)}
    readings = [
        replace(it, resets_at=ends[it.limit.id])
        for it in counters(entitlement, {"day": 5, "minute": 5})
    ]
    verdict = rules.decide(ask(tokens=1), entitlement, readings, NOW)
    assert remedy(verdict, RemedyKind.WAIT) == Remedy(RemedyKind.WAIT, until=LATER)


def waiting(rules: PolicySet, request: CheckRequest, readings: dict[str, int]) -> datetime | None:
    found = remedy(decide(rules, request, subscribed(), readings), RemedyKind.WAIT)
    return None if found is None else found.until


def test_waiting_does_not_help_a_request_that_never_fits(tmp_path: Path) -> None:
    rules = limited(tmp_path)
    assert waiting(rules, ask(tokens=1), {"daily": 100}) == LATER
    assert waiting(rules, ask(tokens=101), {"daily": 100}) is None


def test_waiting_does_not_help_against_a_lifetime_a_rule_or_a_plugin(tmp_path: Path) -> None:
    lifetime = LIMITED.replace("window: day", "window: lifetime").format(mode="enforce", own="")
    assert waiting(policies(tmp_path, lifetime), ask(tokens=1), {"daily": 100}) is None
    ruled = LIMITED.format(mode="enforce", own="") + (
        "rules: [{id: r, effect: deny, message: M}]\n"
    )
    assert waiting(policies(tmp_path, ruled), ask(tokens=1), {"daily": 100}) is None


def test_an_advisory_limit_beside_a_refusing_one_does_not_prolong_the_wait(
    tmp_path: Path,
) -> None:
    rules = policies(
        tmp_path,
        LIMITED.format(mode="enforce", own="")
        + "      - {id: ever, meter: tokens, max: 1, window: lifetime, mode: advisory}\n",
    )
    assert waiting(rules, ask(tokens=1), {"daily": 100, "ever": 5}) == LATER


def test_an_allowed_request_needs_no_remedy(tmp_path: Path) -> None:
    assert decide(policies(tmp_path, LADDER), ask(tokens=1), subscribed("small")).remedies == ()


def test_a_reason_knows_whether_it_refuses(tmp_path: Path) -> None:
    verdict = everything(policies(tmp_path, EVERYTHING))
    assert [reason.refuses for reason in verdict.reasons] == [True] * 4 + [False] * 2
    assert all(isinstance(reason, Reason) for reason in verdict.reasons)


def test_readings_are_judged_in_the_order_of_their_charges(tmp_path: Path) -> None:
    rules = limited(tmp_path)
    entitlement = rules.resolve(subscribed(), ask(tokens=1), NOW)
    [charge] = entitlement.charges
    held = Reading(charge.limit, 50, 50, 1, LATER)
    verdict = rules.decide(ask(tokens=1), entitlement, [held], NOW)
    assert "50 used, 50 reserved, 1 asked for" in verdict.reasons[0].message


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("meter: concurrency, max: 1", "The plan allows 1 request at once; 1 used, 1 asked for."),
        (
            "meter: concurrency, max: 0",
            "The plan allows 0 requests at once; this request alone asks for 1, "
            "so it can never fit, however long one waits.",
        ),
        (
            "meter: requests, max: 1, window: 1m",
            "The plan allows 1 request in 1m; 5 used, 1 asked for.",
        ),
        (
            "meter: input_tokens, max: 9, window: day",
            "The plan allows 9 input tokens today (UTC); 5 used, 9 asked for.",
        ),
        ("meter: tokens, max: 2000, window: 1h, warn_at: 0.001", "14 of 2,000 tokens in 1h."),
    ],
)  # fmt: skip
def test_a_limit_says_its_numbers_in_english(tmp_path: Path, limit: str, said: str) -> None:
    rules = policies(tmp_path, f"plans: {{free: {{plugins: [], limits: [{{id: l, {limit}}}]}}}}\n")
    used = {"l": 1 if "concurrency" in limit else 5}
    verdict = decide(rules, ask(tokens=9), subscribed(), used)
    assert [reason.message for reason in verdict.reasons] == [said]
