"""Which plan does a subject have, and what does it say before any counter is read?"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Ceiling, FailureMode, Mode, Refusal
from sidecar.domain.request import CheckRequest, Subject
from sidecar.domain.subscription import Standing, Status, Subscription, merge, never_synced
from sidecar.domain.windows import Fixed
from sidecar.policy.load import load
from sidecar.policy.snapshot import PolicySet
from tests.unit.world import BOB, NOW, ask, policies, subscribed, write

TWO_PLANS = """
mode: enforce
defaults: {plan: free}
plans:
  free: {plugins: ["basic_*"], tokens_per_month: 10000}
  pro: {extends: free, plugins: ["*"], tokens_per_month: 100000}
"""


def limits(entitlement: Entitlement) -> dict[str, int | None]:
    return {charge.limit.id: charge.limit.maximum for charge in entitlement.charges}


def resolve(
    rules: PolicySet,
    subscription: Subscription | None = None,
    request: CheckRequest | None = None,
    now: datetime = NOW,
) -> Entitlement:
    return rules.resolve(subscription or subscribed(), request or ask(), now)


def reasons(entitlement: Entitlement) -> list[tuple[str, str]]:
    return [(reason.code.value, reason.id) for reason in entitlement.reasons]


# -- subscriptions and plans --------------------------------------------------------------------


def test_the_plan_of_an_active_subscription_holds(tmp_path: Path) -> None:
    entitlement = resolve(policies(tmp_path, TWO_PLANS), subscribed("pro"))
    assert (entitlement.plan, entitlement.standing) == ("pro", Standing.HOLDS)
    assert entitlement.reasons == ()


@pytest.mark.parametrize("status", [Status.CANCELED, Status.UNPAID, Status.PAST_DUE, Status.NONE])
def test_without_an_active_subscription_the_default_plan_holds(
    tmp_path: Path, status: Status
) -> None:
    entitlement = resolve(policies(tmp_path, TWO_PLANS), subscribed("pro", status))
    assert (entitlement.plan, reasons(entitlement)) == ("free", [])


def test_a_user_who_was_never_synced_has_the_default_plan(tmp_path: Path) -> None:
    entitlement = resolve(policies(tmp_path, TWO_PLANS), never_synced(BOB))
    assert (entitlement.plan, entitlement.subscription_status) == ("free", "none")


def test_without_a_default_plan_an_inactive_subscription_is_refused(tmp_path: Path) -> None:
    rules = policies(tmp_path, "mode: enforce\nplans: {pro: {plugins: []}}\n")
    entitlement = resolve(rules, subscribed("pro", Status.CANCELED))
    assert reasons(entitlement) == [("subscription_inactive", "subscription")]
    assert entitlement.refuses
    assert entitlement.plan is None


def test_without_a_default_plan_an_ended_trial_is_refused_as_expired(tmp_path: Path) -> None:
    rules = policies(tmp_path, "mode: enforce\nplans: {pro: {plugins: []}}\n")
    ended = replace(subscribed("pro", Status.TRIALING), trial_end=NOW)
    assert reasons(resolve(rules, ended)) == [("subscription_expired", "subscription")]


def test_a_plan_that_no_file_knows_is_refused_even_where_there_is_a_default(
    tmp_path: Path,
) -> None:
    entitlement = resolve(policies(tmp_path, TWO_PLANS), subscribed("gold"))
    assert reasons(entitlement) == [("unknown_plan", "subscription")]
    assert entitlement.plan is None
    assert entitlement.mode is Mode.ENFORCE


def test_a_trial_that_names_no_plan_has_the_one_of_the_policy(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS + "subscription: {trial: {plan: pro, days: 14}}\n")
    trial = subscribed("", Status.TRIALING)
    assert resolve(rules, trial).plan == "pro"
    assert resolve(rules, trial, now=NOW + timedelta(days=14)).plan == "free"
    assert resolve(rules, subscribed("free", Status.TRIALING)).plan == "free"


def test_in_grace_the_plan_holds_with_a_warning(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS + "subscription: {grace: {past_due: 3d}}\n")
    late = subscribed("pro", Status.PAST_DUE)
    entitlement = resolve(rules, late)
    assert (entitlement.plan, reasons(entitlement)) == (
        "pro", [("subscription_inactive", "subscription")]
    )  # fmt: skip
    assert not entitlement.refuses
    assert resolve(rules, late, now=NOW + timedelta(days=3)).plan == "free"


def test_the_file_says_which_statuses_are_active(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS + "subscription: {active: [past_due]}\n")
    assert resolve(rules, subscribed("pro", Status.PAST_DUE)).plan == "pro"
    assert resolve(rules, subscribed("pro", Status.ACTIVE)).plan == "free"


# -- what could not be had ----------------------------------------------------------------------


def test_closed_policies_refuse_where_the_subscription_cannot_be_had(tmp_path: Path) -> None:
    text = TWO_PLANS.replace("{plan: free}", "{plan: free, failure_mode: closed}")
    entitlement = policies(tmp_path, text).resolve(None, ask(), NOW)
    assert reasons(entitlement) == [("subscription_unavailable", "subscription")]
    assert entitlement.reasons[0].refusal is Refusal.UNAVAILABLE
    assert entitlement.refuses
    assert entitlement.subscription_status == "unknown"


def test_open_policies_let_pass_where_the_subscription_cannot_be_had(tmp_path: Path) -> None:
    entitlement = policies(tmp_path, TWO_PLANS).resolve(None, ask(), NOW)
    assert (entitlement.reasons, entitlement.charges, entitlement.plan) == ((), (), None)


# -- plugins and features -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugin", "refused"),
    [("basic_search", False), ("admin_users", True), ("basic_admin", True), ("", False)],
)
def test_a_deny_of_plugins_wins_over_an_allow(tmp_path: Path, plugin: str, refused: bool) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans: {free: {plugins: {allow: ["basic_*"], deny: ["*_admin"]}}}
        """,
    )
    expected = [("plugin_not_in_plan", "free.plugins")] if refused else []
    assert reasons(resolve(rules, request=ask(plugin=plugin))) == expected


@pytest.mark.parametrize(
    ("feature", "refused"), [("code", False), ("video", True), ("other", False), ("", False)]
)
def test_a_star_speaks_for_features_that_are_not_named(
    tmp_path: Path, feature: str, refused: bool
) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans: {free: {plugins: [], features: {code: true, video: false, "*": true}}}
        """,
    )
    expected = [("feature_not_in_plan", "free.features")] if refused else []
    assert reasons(resolve(rules, request=ask(feature=feature))) == expected


def test_a_feature_that_no_one_names_is_not_included(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS)
    assert reasons(resolve(rules, request=ask(feature="code"))) == [
        ("feature_not_in_plan", "free.features")
    ]


def test_the_reasons_of_a_plan_stand_in_order(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS + "subscription: {grace: {past_due: 3d}}\n")
    late = subscribed("free", Status.PAST_DUE)
    entitlement = resolve(rules, late, ask(plugin="admin", feature="code"))
    assert [code for code, _ in reasons(entitlement)] == [
        "subscription_inactive", "plugin_not_in_plan", "feature_not_in_plan"
    ]  # fmt: skip


# -- extends ------------------------------------------------------------------------------------


def test_a_child_replaces_its_parents_tokens_per_month(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS)
    assert limits(resolve(rules)) == {"free-tokens-per-month": 10_000}
    assert limits(resolve(rules, subscribed("pro"))) == {"pro-tokens-per-month": 100_000}


def test_a_child_that_says_null_lifts_the_monthly_tokens(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS.replace("100000", "null"))
    assert limits(resolve(rules, subscribed("pro"))) == {"pro-tokens-per-month": None}


def test_a_child_that_says_nothing_of_tokens_keeps_its_parents(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS.replace(", tokens_per_month: 100000", ""))
    assert limits(resolve(rules, subscribed("pro"))) == {"free-tokens-per-month": 10_000}


FAMILY = """
mode: enforce
plans:
  free:
    plugins: ["basic_*"]
    features: {code: false, video: true}
    limits:
      - {id: burst, meter: tokens, max: 100, window: 1m, warn_at: 0.5, message: Slow., status: 429}
      - {id: daily, meter: requests, max: 10, window: day}
  pro:
    extends: free
    features: {code: true}
    limits:
      - {id: burst, meter: tokens, max: 500, window: 1m}
  team:
    extends: pro
    plugins: ["*"]
    limits:
      - {id: daily, meter: requests, max: null, window: day}
"""


def test_a_limit_that_restates_an_inherited_id_replaces_it_whole(tmp_path: Path) -> None:
    rules = policies(tmp_path, FAMILY)
    pro = {charge.limit.id: charge.limit for charge in resolve(rules, subscribed("pro")).charges}
    assert (pro["burst"].maximum, pro["burst"].warn_from) == (500, None)
    assert (pro["burst"].message, pro["burst"].refusal) == ("", Refusal.PAYMENT_REQUIRED)
    assert pro["daily"].maximum == 10


def test_a_grandchild_inherits_all_and_lifts_one(tmp_path: Path) -> None:
    rules = policies(tmp_path, FAMILY)
    team = resolve(rules, subscribed("team"), ask(plugin="admin", feature="code"))
    assert limits(team) == {"daily": None, "burst": 500}
    assert reasons(team) == []
    assert reasons(resolve(rules, subscribed("team"), ask(feature="video"))) == []


def test_an_upgrade_keeps_its_counters(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS)
    [free] = resolve(rules).charges
    [pro] = resolve(rules, subscribed("pro")).charges
    assert free.counter == pro.counter


def test_a_file_may_extend_a_plan_of_another_file_that_comes_later(tmp_path: Path) -> None:
    write(tmp_path, "plans: {pro: {extends: base}}\n", "a.yaml")
    write(tmp_path, "plans: {base: {plugins: [], tokens_per_month: 5}}\n", "b.yaml")
    rules = load(tmp_path, ceiling=Ceiling.AS_WRITTEN)
    assert limits(resolve(rules, subscribed("pro"))) == {"base-tokens-per-month": 5}


# -- limits -------------------------------------------------------------------------------------


def test_limits_stand_longest_window_first(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        plans:
          free:
            plugins: []
            limits:
              - {id: minute, meter: tokens, max: 1, window: 1m}
              - {id: ever, meter: tokens, max: 1, window: lifetime}
              - {id: day, meter: tokens, max: 1, window: day}
            tokens_per_month: 1
        """,
    )
    assert list(limits(resolve(rules))) == ["ever", "free-tokens-per-month", "day", "minute"]


def test_tokens_per_month_counts_the_app_and_user_by_billing_month(tmp_path: Path) -> None:
    [charge] = resolve(policies(tmp_path, TWO_PLANS)).charges
    assert charge.limit.window is Fixed.BILLING_MONTH
    assert charge.limit.per == (Dimension.APP, Dimension.USER)


def test_the_app_is_always_counted_for(tmp_path: Path) -> None:
    text = """
    plans:
      free:
        plugins: []
        limits: [{id: a, meter: tokens, max: 1, window: 1m, per: [model, user, model]}]
    """
    [charge] = resolve(policies(tmp_path, text)).charges
    assert charge.limit.per == (Dimension.APP, Dimension.USER, Dimension.MODEL)


WHEN = """
plans:
  free:
    plugins: []
    limits:
      - id: big-models
        meter: tokens
        max: 5
        window: 1m
        when: %s
"""


def test_a_condition_chooses_the_requests_of_a_limit(tmp_path: Path) -> None:
    rules = policies(tmp_path, WHEN % "'request.model.startsWith(\"gpt-4\")'")
    assert limits(resolve(rules, request=ask(model="gpt-4o"))) == {"big-models": 5}
    assert limits(resolve(rules, request=ask(model="haiku"))) == {}


def test_a_condition_that_errs_applies_its_limit_and_the_error_is_told(tmp_path: Path) -> None:
    rules = policies(tmp_path, WHEN % "has(request.attributes.tier) && request.attributes.tier > 5")
    entitlement = resolve(rules, request=ask(attributes={"tier": "gold"}))
    assert limits(entitlement) == {"big-models": 5}
    assert [error.id for error in entitlement.errors] == ["big-models"]
    quiet = resolve(rules, request=ask(attributes={"tier": 3}))
    assert (limits(quiet), quiet.errors) == ({}, ())


def test_what_was_not_sent_is_empty_or_zero_for_an_expression(tmp_path: Path) -> None:
    empty = " && ".join(
        f'request.{name} == ""'
        for name in ("plugin", "feature", "action", "workflow", "agent", "model", "tenant_id",
                     "session_id", "request_id")
    )  # fmt: skip
    numbers = "request.estimated_tokens == 0 && request.estimate.input_tokens == 0"
    when = f"'{empty} && {numbers} && request.attributes.size() == 0'"
    assert limits(resolve(policies(tmp_path, WHEN % when))) == {"big-models": 5}


def test_dates_that_were_not_synced_are_absent_for_an_expression(tmp_path: Path) -> None:
    rules = policies(tmp_path, WHEN % "has(subscription.trial_end) && subscription.trial_end > now")
    assert limits(resolve(rules)) == {}
    trial = replace(subscribed(), trial_end=NOW + timedelta(days=1))
    assert limits(resolve(rules, trial)) == {"big-models": 5}


def test_an_expression_sees_the_plan_and_the_subscription(tmp_path: Path) -> None:
    when = '\'plan.id == "free" && plan.name == "free" && subscription.status == "active"\''
    assert limits(resolve(policies(tmp_path, WHEN % when))) == {"big-models": 5}


def test_a_charge_asks_for_the_estimate_of_its_meter(tmp_path: Path) -> None:
    text = """
    plans:
      free:
        plugins: []
        limits:
          - {id: t, meter: tokens, max: 1, window: day}
          - {id: i, meter: input_tokens, max: 1, window: day}
          - {id: o, meter: output_tokens, max: 1, window: day}
          - {id: r, meter: requests, max: 1, window: day}
          - {id: c, meter: concurrency, max: 1}
    """
    charges = resolve(policies(tmp_path, text), request=ask(tokens=7)).charges
    amounts = {charge.limit.id: charge.amount for charge in charges}
    assert amounts == {"t": 7, "i": 7, "o": 0, "r": 1, "c": 1}


@pytest.mark.parametrize(("maximum", "warn_at", "warn_from"), [
    (100, "0.8", 80), (10, "0.85", 9), (3, "0.1", 1), (10**15, "0.7", 7 * 10**14), (0, "0.5", 0),
])  # fmt: skip
def test_a_part_of_the_maximum_is_rounded_up(
    tmp_path: Path, maximum: int, warn_at: str, warn_from: int
) -> None:
    text = f"""
    plans:
      free:
        plugins: []
        limits: [{{id: a, meter: tokens, max: {maximum}, window: 1m, warn_at: {warn_at}}}]
    """
    [charge] = resolve(policies(tmp_path, text)).charges
    assert charge.limit.warn_from == warn_from


# -- modes --------------------------------------------------------------------------------------

MODES = """
mode: {file}
plans:
  free:
    plugins: []
    limits: [{{id: a, meter: tokens, max: 1, window: 1m{own}}}]
"""


@pytest.mark.parametrize(
    ("ceiling", "file", "own", "in_force"),
    [
        (Ceiling.AS_WRITTEN, "enforce", "", Mode.ENFORCE),
        (Ceiling.AS_WRITTEN, "enforce", ", mode: advisory", Mode.ADVISORY),
        (Ceiling.AS_WRITTEN, "enforce", ", mode: off", Mode.OFF),
        (Ceiling.AS_WRITTEN, "advisory", ", mode: advisory", Mode.ADVISORY),
        (Ceiling.RAISED, "advisory", "", Mode.ENFORCE),
        (Ceiling.RAISED, "advisory", ", mode: advisory", Mode.ADVISORY),
        (Ceiling.RAISED, "off", "", Mode.OFF),
        (Ceiling.CAPPED, "enforce", "", Mode.ADVISORY),
        (Ceiling.CAPPED, "enforce", ", mode: enforce", Mode.ADVISORY),
        (Ceiling.CAPPED, "enforce", ", mode: off", Mode.OFF),
    ],
)
def test_the_ceiling_the_file_and_the_limit_narrow_the_mode_in_this_order(
    tmp_path: Path, ceiling: Ceiling, file: str, own: str, in_force: Mode
) -> None:
    rules = policies(tmp_path, MODES.format(file=file, own=own), ceiling=ceiling)
    [charge] = resolve(rules).charges
    assert charge.limit.mode is in_force


def test_a_file_that_states_no_mode_is_advisory(tmp_path: Path) -> None:
    assert resolve(policies(tmp_path, "plans: {free: {plugins: []}}\n")).mode is Mode.ADVISORY


def test_an_inherited_limit_keeps_the_mode_and_failure_mode_of_its_own_file(
    tmp_path: Path,
) -> None:
    base = "plans: {base: {plugins: [], tokens_per_month: 5}}\n"
    write(tmp_path, "mode: advisory\n" + base, "base.yaml")
    write(
        tmp_path,
        """
        mode: enforce
        defaults: {failure_mode: closed}
        plans: {pro: {extends: base}}
        """,
        "pro.yaml",
    )
    entitlement = resolve(load(tmp_path, ceiling=Ceiling.AS_WRITTEN), subscribed("pro"))
    [charge] = entitlement.charges
    assert (charge.limit.mode, charge.limit.failure_mode) == (Mode.ADVISORY, FailureMode.OPEN)
    assert (entitlement.mode, entitlement.failure_mode) == (Mode.ENFORCE, FailureMode.CLOSED)


def test_a_limit_may_state_its_own_failure_mode(tmp_path: Path) -> None:
    rules = policies(tmp_path, MODES.format(file="enforce", own=", failure_mode: closed"))
    [charge] = resolve(rules).charges
    assert charge.limit.failure_mode is FailureMode.CLOSED


# -- overrides ----------------------------------------------------------------------------------

OVERRIDES = """
plans:
  free:
    plugins: []
    limits: [{id: burst, meter: tokens, max: 10, window: 1m, warn_at: 0.5}]
overrides:
  - {id: o-app, for: {apps: [acme]}, limit: burst, max: 20}
  - {id: o-tenant, for: {tenants: [t1]}, limit: burst, max: 30}
  - {id: o-user, for: {users: [bob]}, limit: burst, max: 40}
  - {id: o-both, for: {apps: [other], users: [eve]}, limit: burst, max: null}
  - {id: o-bob-at-zeta, for: {apps: [zeta], users: [bob]}, limit: burst, max: 45}
  - id: o-dated
    for: {users: [ann]}
    limit: burst
    max: 50
    from: "2026-05-01T00:00:00Z"
    until: "2026-06-01T02:00:00+02:00"
"""


@pytest.mark.parametrize(
    ("subject", "maximum"),
    [
        (Subject("zeta", "zed"), 10),
        (Subject("acme", "zed"), 20),
        (Subject("acme", "zed", "t1"), 30),
        (Subject("acme", "bob", "t1"), 40),
        (Subject("yank", "bob"), 40),
        (Subject("zeta", "bob"), 45),
        (Subject("other", "eve"), None),
        (Subject("acme", "eve"), 20),
        (Subject("zeta", "eve"), 10),
    ],
)
def test_the_most_specific_override_wins(
    tmp_path: Path, subject: Subject, maximum: int | None
) -> None:
    rules = policies(tmp_path, OVERRIDES)
    assert limits(resolve(rules, request=ask(subject=subject))) == {"burst": maximum}


@pytest.mark.parametrize(
    ("instant", "maximum"),
    [
        (datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC), 10),
        (datetime(2026, 5, 1, tzinfo=UTC), 50),
        (datetime(2026, 5, 31, 23, 59, 59, tzinfo=UTC), 50),
        (datetime(2026, 6, 1, tzinfo=UTC), 10),
    ],
)
def test_an_override_holds_from_its_beginning_until_its_end(
    tmp_path: Path, instant: datetime, maximum: int
) -> None:
    rules = policies(tmp_path, OVERRIDES)
    ann = ask(subject=Subject("zeta", "ann"))
    assert limits(resolve(rules, request=ann, now=instant)) == {"burst": maximum}


def test_thousands_of_overrides_load_and_resolve_in_good_time(tmp_path: Path) -> None:
    many = "".join(
        f"  - {{id: x{number}, for: {{apps: [a{number}]}}, limit: burst, max: {number}}}\n"
        for number in range(3_000)
    )
    rules = policies(tmp_path, OVERRIDES + many)
    for number in range(100, 3_000, 7):
        subject = Subject(f"a{number}", "zed")
        assert limits(resolve(rules, request=ask(subject=subject))) == {"burst": number}


def test_an_override_moves_the_point_of_warning_and_keeps_the_counter(tmp_path: Path) -> None:
    rules = policies(tmp_path, OVERRIDES)
    [plain] = resolve(rules, request=ask(subject=Subject("zeta", "zed"))).charges
    [raised] = resolve(rules, request=ask(subject=Subject("acme", "zed"))).charges
    assert (plain.limit.warn_from, raised.limit.warn_from) == (5, 10)
    assert plain.counter == raised.counter


def test_an_override_holds_for_a_limit_of_every_plan_that_has_it(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        FAMILY + "overrides: [{id: o, for: {apps: [acme]}, limit: burst, max: 7}]\n",
    )
    for plan in ("free", "pro", "team"):
        assert limits(resolve(rules, subscribed(plan)))["burst"] == 7


# -- for reports and settings pages -------------------------------------------------------------


def test_a_report_of_a_user_without_a_plan_counts_for_the_default_plan(tmp_path: Path) -> None:
    rules = policies(tmp_path, TWO_PLANS)
    [charge] = rules.charges(subscribed("gold"), ask(), NOW)
    assert charge.limit.id == "free-tokens-per-month"


def test_an_overview_shows_limits_kept_for_the_user_whatever_is_asked(tmp_path: Path) -> None:
    text = """
    plans:
      free:
        plugins: {allow: ["*"], deny: [admin]}
        features: {code: true}
        limits:
          - {id: mine, meter: tokens, max: 5, window: 1m, when: 'request.model == "x"'}
          - {id: each-model, meter: tokens, max: 5, window: 1m, per: [user, model]}
          - {id: ours, meter: requests, max: 5, window: 1m, per: [app]}
    """
    entitlement, plan = policies(tmp_path, text).overview(subscribed(), BOB, NOW)
    assert {charge.limit.id: charge.amount for charge in entitlement.charges} == {
        "mine": 0, "ours": 0
    }  # fmt: skip
    assert plan is not None
    assert (plan.plugins_allow, plan.plugins_deny) == (("*",), ("admin",))
    assert plan.features == {"code": True}


def test_an_overview_of_an_unknown_plan_has_no_plan(tmp_path: Path) -> None:
    _, plan = policies(tmp_path, TWO_PLANS).overview(subscribed("gold"), BOB, NOW)
    assert plan is None


# -- what is carried on -------------------------------------------------------------------------

ROLLING = """
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    limits:
      - {id: month, meter: tokens, max: 100, window: month, rollover: {max: 30}}
  pro: {extends: free}
"""


@pytest.mark.parametrize(
    ("plan", "status", "is_held"),
    [("pro", Status.ACTIVE, True), ("pro", Status.CANCELED, False), ("free", Status.ACTIVE, True)],
)
def test_a_limit_that_rolls_over_is_told_since_when_its_plan_is_held(
    tmp_path: Path, plan: str, status: Status, is_held: bool
) -> None:
    _, subscription = merge(None, replace(subscribed(plan, status), updated_at=NOW))
    (charge,) = resolve(policies(tmp_path, ROLLING), subscription).charges
    assert (charge.limit.rollover, charge.held_since) == (30, NOW if is_held else None)


def test_an_override_of_the_maximum_leaves_the_rollover(tmp_path: Path) -> None:
    override = """
overrides:
  - {id: acme, for: {apps: [acme]}, limit: month, max: 900, until: "2026-12-01T00:00:00Z"}
"""
    (charge,) = resolve(policies(tmp_path, ROLLING + override)).charges
    assert (charge.limit.maximum, charge.limit.rollover) == (900, 30)
