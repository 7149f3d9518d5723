"""What an evaluated expression reads, the test states; what nobody looked at, it need not."""

from pathlib import Path

import pytest

from sidecar.policy.diagnostics import Severity
from sidecar.policy.testing import Outcome
from tests.unit.testing.world import case

HEAD = """
    defaults: {plan: free}
    subscription: {grace: {past_due: 3d}, trial: {plan: free, days: 14}}
    constants: {soft: 0.8}
    variables:
      - {name: mini, expr: 'request.model.contains("mini")'}
      - {name: near, expr: 'limits["free-tokens-per-month"].ratio > constants.soft'}
    plans:
      free: {plugins: ["*"], tokens_per_month: 10000}
    rules:
      - {id: it, when: WHEN, effect: warn, message: Careful.}
    """
NEVER = """'request.user_id == "ann"'"""
ASKED = "{app_id: acme, user_id: bob}"


def lacked(
    directory: Path,
    when: str,
    *,
    given: str = "{}",
    check: str = ASKED,
    now: str = "2026-05-05T21:30:00Z",
) -> list[str]:
    """What a test of a rule with this condition lacks."""
    policy = HEAD.replace("WHEN", "'" + when.replace("'", "''") + "'")
    result = case(directory, policy, given=given, check=check, expect="{errors: 0}", now=now)
    assert (result.outcome is Outcome.ERROR) == bool(result.findings)
    assert {found.code for found in result.findings} <= {"L5"}
    return [
        found.message.removeprefix("'it' does not state ").partition(", which the ")[0]
        for found in result.findings
    ]


@pytest.mark.parametrize(
    ("when", "lacking"),
    [
        ('request.model == "m"', ["request.model"]),
        ("request.user_id == request.app_id", []),
        ("request.estimated_tokens > 5", ["request.estimated_tokens"]),
        ("request.estimate.input_tokens > 5", ["request.estimate.input_tokens"]),
        ("size(request.attributes) > 0", ["request.attributes"]),
        ("request.model in request.attributes", ["request.model", "request.attributes"]),
        ("has(request.attributes.staff) && request.attributes.staff == true", []),
        ('"staff" in request.attributes', []),
        ('request.tenant_id == "" && request.model == ""', ["request.tenant_id", "request.model"]),
        ('vars.mini && request.agent == "a"', ["request.model"]),
        ('limits["free-tokens-per-month"].used > 5', ['limits["free-tokens-per-month"].used']),
        ('limits["free-tokens-per-month"].remaining > 5', ['limits["free-tokens-per-month"].used']),
        (
            'limits["free-tokens-per-month"].reserved > 5',
            ['limits["free-tokens-per-month"].reserved'],
        ),
        ('limits["free-tokens-per-month"].max > 5', []),
        ('"free-tokens-per-month" in limits', []),
        ("limits.exists(name, limits[name].used > 5)", ['limits["free-tokens-per-month"].used']),
        ("vars.near", ['limits["free-tokens-per-month"].used']),
        ('subscription.status == "none" && subscription.billing_cycle == ""', []),
        ('plan.id == "free" && now.getHours() > 3', []),
        ("has(subscription.trial_end) && subscription.trial_end < now", []),
    ],
)  # fmt: skip
def test_what_is_read_is_stated(when: str, lacking: list[str], tmp_path: Path) -> None:
    assert lacked(tmp_path, when) == lacking


@pytest.mark.parametrize(
    "when",
    [
        'request.user_id == "ann" && request.model == "m"',
        'request.user_id == "bob" || request.model == "m"',
        'request.user_id == "bob" ? true : request.model == "m"',
        'request.user_id == "ann" && vars.mini',
        '[].exists(name, request.model == name)',
    ],
)  # fmt: skip
def test_what_is_not_evaluated_is_not_missed(when: str, tmp_path: Path) -> None:
    assert lacked(tmp_path, when) == []


@pytest.mark.parametrize(
    ("when", "check", "given"),
    [
        ('request.model == "m"', '{app_id: a, user_id: b, model: ""}', "{}"),
        ("request.estimated_tokens > 5", "{app_id: a, user_id: b, estimated_tokens: 0}", "{}"),
        ("request.estimated_tokens > 5", "{app_id: a, user_id: b, estimate: {}}", "{}"),
        (
            "request.estimate.total_tokens > 5",
            "{app_id: a, user_id: b, estimated_tokens: 0}",
            "{}",
        ),
        (
            "request.estimate.input_tokens > 5",
            "{app_id: a, user_id: b, estimate: {input_tokens: 0}}",
            "{}",
        ),
        ("size(request.attributes) > 0", "{app_id: a, user_id: b, attributes: {}}", "{}"),
        ("vars.near", ASKED, "{used: {free-tokens-per-month: 0}}"),
        (
            'limits["free-tokens-per-month"].reserved > 5',
            ASKED,
            "{reserved: {free-tokens-per-month: 0}}",
        ),
        (
            "subscription.cancel_at_period_end",
            ASKED,
            "{subscription: {plan: free, status: active, cancel_at_period_end: false}}",
        ),
    ],
)
def test_what_is_stated_to_be_nothing_is_stated(
    when: str, check: str, given: str, tmp_path: Path
) -> None:
    assert lacked(tmp_path, when, check=check, given=given) == []


def test_a_subscription_states_what_it_has(tmp_path: Path) -> None:
    given = "{subscription: {plan: free, status: active}}"
    when = 'subscription.plan == "free" && subscription.billing_cycle == ""'

    assert lacked(tmp_path, when, given=given) == ["subscription.billing_cycle"]
    assert lacked(tmp_path, "subscription.cancel_at_period_end", given=given) == [
        "subscription.cancel_at_period_end"
    ]


CHOSEN = """
    defaults: {plan: free}
    variables:
      - {name: large, expr: request.model == "large"}
    plans:
      free:
        plugins: ["*"]
        limits: [{id: of-large, meter: requests, max: 5, window: day, when: WHEN}]
    """


@pytest.mark.parametrize("when", ["vars.large", 'request.model == "large"'])
def test_what_chooses_the_requests_of_a_limit_alone_is_a_warning(when: str, tmp_path: Path) -> None:
    policy = CHOSEN.replace("WHEN", when)
    result = case(tmp_path, policy, expect="{effect: allow}")

    (found,) = result.findings
    assert result.outcome is Outcome.PASSED
    assert (found.code, found.severity) == ("L5", Severity.WARNING)
    assert "does not state request.model, which the " in found.message


def test_what_a_rule_reads_too_is_an_error_once(tmp_path: Path) -> None:
    policy = CHOSEN.rstrip().replace("WHEN", "vars.large") + (
        "\n    rules:\n      - {id: advice, when: vars.large, effect: warn, message: Careful.}\n"
    )
    result = case(tmp_path, policy, expect="{effect: allow}")

    assert result.outcome is Outcome.ERROR
    assert [found.severity for found in result.findings] == [Severity.ERROR]


def test_a_limit_that_depends_on_the_time_needs_one(tmp_path: Path) -> None:
    policy = CHOSEN.replace("WHEN", "now.getHours() > 3")

    assert case(tmp_path, policy, expect="{effect: allow}", now="").outcome is Outcome.ERROR
    assert case(tmp_path, policy, expect="{effect: allow}").outcome is Outcome.PASSED


def test_counters_that_cannot_be_read_are_not_missed(tmp_path: Path) -> None:
    when = '"free-tokens-per-month" in limits && limits["free-tokens-per-month"].used > 5'

    assert lacked(tmp_path, when, given="{store: unavailable}") == []


def test_the_place_of_what_reads_it_is_shown(tmp_path: Path) -> None:
    policy = HEAD.replace("WHEN", "'request.model == \"m\"'")
    result = case(tmp_path, policy, expect="{effect: allow}")

    (found,) = result.findings
    (related,) = found.related
    assert (related.line, related.column, related.length) == (14, 21, 13)
    assert related.file == f"{tmp_path}/policy.yaml"
    assert "the rule 'it'" in found.message
    assert found.hint == 'write model: under check, "" for a request that names none'


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        ("{subscription: {plan: free, status: active}}", False),
        ("{subscription: {plan: free, status: canceled}}", False),
        ("{subscription: {plan: free, status: past_due}}", True),
        ("{subscription: {plan: free, status: past_due, status_since: A_DAY}}", False),
        ("{subscription: {status: trialing}}", True),
        ("{subscription: {status: trialing, status_since: A_DAY}}", False),
        ("{subscription: {status: trialing, trial_end: A_DAY}}", False),
    ],
)
def test_since_when_a_status_holds_is_stated_where_it_matters(
    given: str, lacking: bool, tmp_path: Path
) -> None:
    dated = given.replace("A_DAY", '"2026-05-05T00:00:00Z"')

    assert bool(lacked(tmp_path, 'plan.id == "free"', given=dated)) is lacking


@pytest.mark.parametrize(
    ("when", "given", "lacking"),
    [
        ("now.getHours() > 3", "{}", ["now"]),
        ("now.getHours() > 3", '{now: "2026-05-05T21:30:00Z"}', []),
        ('request.user_id == "ann" && now.getHours() > 3', "{}", []),
        (
            'request.user_id == "ann"',
            '{subscription: {status: trialing, trial_end: "2026-05-09T00:00:00Z"}}',
            ["the time, on which the subscription depends"],
        ),
    ],
)
def test_a_test_that_states_no_time_is_one_that_needs_none(
    when: str, given: str, lacking: list[str], tmp_path: Path
) -> None:
    found = lacked(tmp_path, when, given=given, now="")

    assert [it.replace("'it' states no time", "the time") for it in found] == lacking


def test_an_override_for_a_time_needs_one(tmp_path: Path) -> None:
    policy = HEAD.rstrip().replace("WHEN", NEVER) + (
        "\n"
        "    overrides:\n"
        "      - {id: launch, for: {apps: [acme]}, limit: free-tokens-per-month, max: 20000,\n"
        '         until: "2026-06-01T00:00:00Z", reason: launch}\n'
    )
    concerned = case(tmp_path, policy, expect="{effect: allow}", now="")
    another = case(
        tmp_path, policy, check="{app_id: other, user_id: bob}", expect="{effect: allow}", now=""
    )

    assert [it.message for it in concerned.findings] == [
        "'it' states no time, on which the override 'launch' depends"
    ]
    assert another.outcome is Outcome.PASSED


def test_a_counter_that_the_plan_does_not_have_is_not_given(tmp_path: Path) -> None:
    policy = """
        defaults: {plan: free}
        plans:
          free: {plugins: ["*"]}
          big: {plugins: ["*"], tokens_per_month: 9}
        """
    result = case(
        tmp_path, policy, given="{used: {big-tokens-per-month: 5}}", expect="{effect: allow}"
    )

    assert result.outcome is Outcome.ERROR
    assert [it.message for it in result.findings] == [
        "no limit of free is called 'big-tokens-per-month', so nothing reads this counter"
    ]
