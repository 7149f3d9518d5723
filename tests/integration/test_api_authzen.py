"""The same decisions in the words of AuthZEN 1.0."""

from typing import Any

import httpx
import pytest

from tests.in_process import application

SUBJECT = {"type": "user", "id": "bob"}
SEARCH = {"type": "plugin", "id": "basic_search"}
ADMIN = {"type": "plugin", "id": "admin_console"}
RUN = {"name": "run"}
CONTEXT = {"app_id": "acme", "estimated_tokens": 100}


def question(**other: object) -> dict[str, object]:
    return {"subject": SUBJECT, "resource": SEARCH, "action": RUN, "context": CONTEXT} | other


async def asked(client: httpx.AsyncClient, body: object) -> dict[str, Any]:
    answer = await client.post("/access/v1/evaluation", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_the_plan_includes_is_true_with_what_is_left() -> None:
    async with application() as client:
        answer = await asked(client, question())

    assert answer["decision"] is True
    assert answer["context"]["status"] == 200
    assert answer["context"]["plan"] == "free"
    assert {limit["id"]: limit["remaining"] for limit in answer["context"]["limits"]} == {
        "free-tokens-per-month": 10000,
        "free-burst": 2000,
    }
    assert "reason_user" not in answer["context"]


async def test_a_refusal_is_an_answer_with_a_reason_for_both_kinds_of_readers() -> None:
    async with application() as client:
        answer = await asked(client, question(resource=ADMIN))

    message = "The plan Free does not include the plugin admin_console."
    assert answer["decision"] is False
    assert answer["context"]["status"] == 402
    assert answer["context"]["reason_user"] == {"en": message}
    assert answer["context"]["reason_admin"] == {
        "en": f"plugin_not_in_plan free.plugins: {message}"
    }
    assert "obligations" not in answer["context"]


async def test_advice_is_a_warning_beside_a_permission() -> None:
    context = {"app_id": "acme", "estimated_tokens": 9000}
    async with application("policies/quickstart") as client:
        answer = await asked(client, question(context=context))

    assert answer["decision"] is True
    assert [warning["id"] for warning in answer["context"]["warnings"]] == ["free-burst"]
    assert answer["context"]["would_deny"] == ["free-burst"]


async def test_a_feature_is_a_resource_too() -> None:
    resource = {"type": "feature", "id": "code_execution"}
    async with application() as client:
        answer = await asked(client, question(resource=resource))

    assert answer["decision"] is False
    assert answer["context"]["reason_admin"]["en"].startswith("feature_not_in_plan")


async def test_rules_read_the_rest_of_the_context_and_what_is_said_of_the_subject(
    tmp_path: Any,
) -> None:
    (tmp_path / "policy.yaml").write_text(
        """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: rules}
mode: enforce
defaults: {plan: free}
plans:
  free: {plugins: ["*"]}
rules:
  - id: staff-in-europe
    when: |
      has(request.attributes.region) && request.attributes.region == "eu"
      && has(request.attributes.subject) && has(request.attributes.subject.staff)
      && request.attributes.subject.staff == true
    effect: deny
    on_error: deny
    message: Not from there.
"""
    )
    context = CONTEXT | {"region": "eu"}
    staff = SUBJECT | {"properties": {"staff": True}}
    async with application(tmp_path) as client:
        refused = await asked(client, question(subject=staff, context=context))
        others = await asked(client, question(context=context))

    assert refused["decision"] is False
    assert others["decision"] is True


async def test_a_question_may_hold_what_it_asks_for_and_gets_a_reservation() -> None:
    context = CONTEXT | {"reserve": True, "request_id": "r-1"}
    async with application() as client:
        answer = await asked(client, question(context=context))
        reservation = answer["context"]["reservation"]["id"]
        commit = await client.post(
            f"/v1/reservations/{reservation}/commit", json={"total_tokens": 7}
        )
        reused = await asked(client, question(resource=ADMIN, context=context))

    assert commit.status_code == 200
    assert reused["decision"] is False
    assert reused["context"]["error"]["status"] == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "subject"),
        (question(subject={"type": "group", "id": "g"}), "subject.type"),
        (question(subject={"type": "user"}), "subject.id"),
        (question(resource={"type": "file", "id": "f"}), "resource.type"),
        (question(action={}), "action.name"),
        (question(context={}), "context.app_id"),
        (question(context=CONTEXT | {"estimated_tokens": -1}), "context.estimated_tokens"),
        (question(context=CONTEXT | {"attributes": 1}), "context.attributes"),
        (question(context=CONTEXT | {"attributes": False}), "context.attributes"),
        ([], "body"),
    ],
)
async def test_what_is_no_question_is_a_400_that_names_the_field(body: object, field: str) -> None:
    async with application() as client:
        answer = await client.post("/access/v1/evaluation", json=body)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [fault["field"] for fault in answer.json()["errors"]]


async def test_several_questions_share_what_stands_beside_them() -> None:
    body = question() | {"evaluations": [{}, {"resource": ADMIN}, {"context": {}}]}
    async with application() as client:
        answer = await client.post("/access/v1/evaluations", json=body)

    decisions = answer.json()["evaluations"]
    assert answer.status_code == 200
    assert [each["decision"] for each in decisions] == [True, False, False]
    assert decisions[2]["context"]["error"]["status"] == 400


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
async def test_a_list_may_end_with_the_first_answer_of_a_kind(
    semantic: str, decisions: list[bool]
) -> None:
    body = question() | {
        "options": {"evaluations_semantic": semantic},
        "evaluations": [{"resource": SEARCH}, {"resource": ADMIN}, {"resource": SEARCH}],
    }
    async with application() as client:
        answer = await client.post("/access/v1/evaluations", json=body)

    assert [each["decision"] for each in answer.json()["evaluations"]] == decisions


async def test_evaluations_without_a_list_are_one_evaluation() -> None:
    async with application() as client:
        answer = await client.post("/access/v1/evaluations", json=question())
        wrong = await client.post(
            "/access/v1/evaluations", json=question() | {"options": {"evaluations_semantic": "x"}}
        )

    assert answer.json()["decision"] is True
    assert wrong.status_code == 400


async def test_the_endpoints_that_are_told_are_the_ones_that_answer() -> None:
    async with application(sidecar_runtime_keys="run-1") as client:
        told = await client.get("/.well-known/authzen-configuration")
        keys = {"Authorization": "Bearer run-1"}
        answers = [
            await client.post(told.json()[name], json=question(), headers=keys)
            for name in ("access_evaluation_endpoint", "access_evaluations_endpoint")
        ]

    assert told.json()["policy_decision_point"] == "http://localhost"
    assert [answer.json()["decision"] for answer in answers] == [True, True]
