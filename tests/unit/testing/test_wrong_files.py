"""What is wrong with a test file is found before anything is run, all of it at once."""

from pathlib import Path

import pytest

from tests.unit.testing.world import POLICY, mistakes, report_of

IT = "  - name: it\n    check: {app_id: acme, user_id: bob}\n    expect: {effect: allow}\n"


@pytest.mark.parametrize(
    ("tests", "mistake"),
    [
        (
            "tests:\n" + IT.replace("check", "chekc"),
            "5:5 B1 unknown field 'chekc' (did you mean 'check'?)",
        ),
        (
            "tests:\n  - name: it\n    expect: {effect: allow}",
            "4:5 B2 tests[0] lacks the field 'check' (write check: {app_id: acme, user_id: bob}, "
            "and what is asked for)",
        ),
        (
            "tests:\n  - name: it\n    check: {app_id: acme, user_id: bob}\n    expect: {}",
            "6:5 B2 this test expects nothing (write effect: allow, warn or deny)",
        ),
        (
            "tests:\n  - name: it\n    check: {app_id: acme}\n    expect: {effect: allow}",
            "5:5 B2 check lacks the field 'user_id' (write user_id: bob)",
        ),
        (
            IT.replace("allow", "alow").join(["tests:\n", ""]),
            "6:22 B2 'alow' is not allowed here (did you mean 'allow'?)",
        ),
        (
            "tests:\n" + IT + IT,
            "7:11 L3 the test at line 4 is called 'it' too (say what this one shows)",
        ),
        (
            "tests:\n" + IT + "    given: {used: {brust: 5}}",
            "7:20 L4 no limit 'brust' (did you mean 'burst'?)",
        ),
        (
            "tests:\n" + IT.replace("effect: allow", "reasons: [brust]"),
            "6:24 L4 no limit or rule 'brust' (did you mean 'burst'?)",
        ),
        (
            "tests:\n" + IT.replace("effect: allow", "would_deny: [free.plugin]"),
            "6:27 L4 no limit or rule 'free.plugin' (did you mean 'free.plugins'?)",
        ),
        (
            "tests:\n" + IT.replace("effect: allow", "limits: {brust: {used: 0}}"),
            "6:23 L4 no limit 'brust' (did you mean 'burst'?)",
        ),
        (
            "tests:\n" + IT.replace("effect: allow", "plan: fre"),
            "6:20 L4 no plan 'fre' (did you mean 'free'?)",
        ),
        (
            "tests:\n" + IT.replace("effect: allow", "overrides: [launch]"),
            "6:26 L4 no override 'launch' ()",
        ),
        (
            "tests:\n" + IT + "    given: {subscription: {plan: fre, status: active}}",
            "7:34 L4 no plan 'fre' (did you mean 'free'?)",
        ),
        (
            "tests:\n" + IT + "    given: {subscription: {status: active}}",
            "7:13 B2 subscription lacks the field 'plan' (write plan: and its id; only a trial may "
            "name none)",
        ),
        (
            "tests:\n" + IT + "    given: {subscription: {plan: free, status: activ}}",
            "7:48 B2 'activ' is not allowed here (did you mean 'active'?)",
        ),
        (
            "tests:\n" + IT + "    given: {subscription: {plan: free, status: active, trial: x}}",
            "7:56 B1 unknown field 'trial' (did you mean 'trial_end'?)",
        ),
        (
            "tests:\n" + IT + "    given: {subscription: gone}",
            "7:27 B2 'gone' is not allowed here (expected unavailable)",
        ),
        (
            "tests:\n" + IT + "    given: {wallet: 5}",
            "7:21 B2 expected a mapping, found 5 ()",
        ),
        (
            "tests:\n" + IT + '    skip: ""',
            "7:11 B2 the text is empty (leave it out, or fill it)",
        ),
        (
            "users: {ann: {app_id: acme}}\ntests:\n" + IT + "    given: {users: [anne]}",
            "8:21 L4 no user 'anne' (did you mean 'ann'?)",
        ),
        (
            "requests: {ask: {}}\ntests:\n" + IT.replace("bob", "b, requests: [as]"),
            "6:50 L4 no request 'as' (did you mean 'ask'?)",
        ),
        (
            "policies: [polcy.yaml]\ntests:\n" + IT,
            "3:12 L4 no policy file 'polcy.yaml' beside this one (did you mean 'policy.yaml'?)",
        ),
        (
            "prices: ../prices.yaml\ntests:\n" + IT,
            "3:9 L4 no price file '../prices.yaml' (it is named as it lies from here, as "
            "../prices.yaml)",
        ),
        (
            "tests:\n" + IT.replace("bob}", "bob, estimated_tokens: 1, estimate: {}}"),
            "5:41 B2 give estimate or estimated_tokens, not both (estimate for input and output "
            "apart, estimated_tokens for their sum)",
        ),
        (
            "tests:\n" + IT + '    given: {now: "0001-01-01T00:00:00+14:00"}',
            "7:18 B6 '0001-01-01T00:00:00+14:00' is not in any year that there is ()",
        ),
        (
            "tests:\n" + IT + '    given: {now: "9999-12-31T23:59:59Z"}',
            "7:18 B6 expected a time between 1970 and 9000, as callers may send one ()",
        ),
        (
            "tests:\n" + IT.replace("effect: allow", "remedies: [top_up]"),
            "6:25 B2 'top_up' is not allowed here (expected one of: upgrade, wait)",
        ),
        ("tests: []", "3:8 B2 the list is empty: leave the field out, or fill it ()"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tests: str, mistake: str, tmp_path: Path) -> None:
    found = mistakes(report_of(tmp_path, POLICY, tests, now=""))

    assert found == [f"policy_test.yaml:{mistake}"]


def test_all_mistakes_are_told_at_once_and_nothing_is_run(tmp_path: Path) -> None:
    tests = (
        "tests:\n" + IT.replace("allow", "alow") + IT + "    given: {used: {brust: 5}}\n    now: 5"
    )
    report = report_of(tmp_path, POLICY.replace("2000", "-5"), tests)

    assert [line.partition(" (")[0] for line in mistakes(report)] == [
        "policy.yaml:12:41 B5 expected a number of at least 0, found -5",
        "policy_test.yaml:7:22 B2 'alow' is not allowed here",
        "policy_test.yaml:12:5 B1 unknown field 'now'",
    ]
    assert report.results == ()
    assert not report.is_good


def test_a_plan_that_nobody_knows_may_be_what_a_test_is_about(tmp_path: Path) -> None:
    tests = (
        "tests:\n  - name: it\n    given: {subscription: {plan: gold, status: active}}\n"
        "    check: {app_id: acme, user_id: bob}\n    expect: {codes: [unknown_plan]}\n"
    )

    assert report_of(tmp_path, POLICY, tests).is_good
