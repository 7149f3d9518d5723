"""AuthZEN 1.0: the same decisions for whoever speaks the standard's language.

A refusal is an answer here, never a status: HTTP 200 with `"decision": false`. What the
standard has no word for (app, model, estimate) comes in `context` and goes back in `context`.
Source: OpenID AuthZEN Authorization API 1.0, sections 5 to 9.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.authzen_body import FROM_CONTEXT, Evaluation, Evaluations, Semantic
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody, NotJson, fault_of
from sidecar.api.problem import fault_body, of_invalid_body
from sidecar.api.render import decision_body
from sidecar.api.schemas import CHECK
from sidecar.domain.decision import Decision, Reason
from sidecar.domain.request import CheckRequest
from sidecar.errors import RequestFault
from sidecar.pdp import PDP

T = TypeVar("T")

_ONE = TypeAdapter(Evaluation)
_MANY = TypeAdapter(Evaluations)
_PARTS = ("subject", "resource", "action", "context")


class AuthZen:
    """Answers access evaluations."""

    def __init__(self, pdp: PDP) -> None:
        self._pdp = pdp

    async def evaluation(self, call: Call) -> Response:
        """One decision."""
        try:
            request = _request(call.json())
        except InvalidBody as error:
            return of_invalid_body(error, 400)
        return json_response(_answer(await _checked(self._pdp, request)))

    async def evaluations(self, call: Call) -> Response:
        """A decision for each question, in their order; without a list, as for one."""
        try:
            body = call.json()
            asked = _read(_MANY, body)
            if not asked.evaluations:
                return await self.evaluation(call)
        except InvalidBody as error:
            return of_invalid_body(error, 400)
        assert isinstance(body, dict)  # a list of questions was found in it
        common = {name: body[name] for name in _PARTS if name in body}
        semantic = asked.options.evaluations_semantic
        questions = [{**common, **own} for own in asked.evaluations]
        if semantic is Semantic.ALL:
            answers = await asyncio.gather(*map(self._evaluated, questions))
            return json_response({"evaluations": answers})
        answers = []
        for question in questions:
            answers.append(await self._evaluated(question))
            if semantic.ends_with(answers[-1]["decision"] is True):
                break
        return json_response({"evaluations": answers})

    async def _evaluated(self, question: Mapping[str, object]) -> dict[str, object]:
        """The answer to one of several; what is wrong with it is its own."""
        try:
            request = _request(question)
        except InvalidBody as error:
            return _failed(400, str(error))
        return _answer(await _checked(self._pdp, request))


async def configuration(request: Request) -> Response:
    """Where the endpoints are; the base is the address by which this was asked for."""
    base = str(request.base_url).rstrip("/")
    return json_response(
        {
            "policy_decision_point": base,
            "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
            "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        }
    )


async def _checked(pdp: PDP, request: CheckRequest) -> Decision | RequestFault:
    try:
        return await pdp.check(request)
    except RequestFault as fault:
        return fault


def _request(body: object) -> CheckRequest:
    """The check that a question asks for.

    Raises:
        InvalidBody: it asks for none.
    """
    asked = _read(_ONE, body)
    context = dict(asked.context)
    check: dict[str, object] = {name: context.pop(name) for name in FROM_CONTEXT if name in context}
    attributes = check.get("attributes")
    if attributes is None:
        attributes = {}
    if not isinstance(attributes, dict):
        raise InvalidBody([FieldFault("context.attributes", "an object is needed")])
    # What rules may read besides: the rest of the context, and what is said of the three parts.
    properties = {
        name: of.properties
        for name, of in (
            ("subject", asked.subject), ("resource", asked.resource), ("action", asked.action),
        )
        if of.properties
    }  # fmt: skip
    check |= {
        "user_id": asked.subject.id,
        asked.resource.type: asked.resource.id,
        "action": asked.action.name,
        "attributes": {**properties, **context, **attributes},
    }
    try:
        return CHECK.validate_python(check).request()
    except ValidationError as error:
        fault = fault_of(error)
        assert isinstance(fault, InvalidBody)  # it was JSON
        raise InvalidBody(
            [FieldFault(f"context.{each.field}", each.message) for each in fault.faults]
        ) from None


def _read(schema: TypeAdapter[T], body: object) -> T:
    try:
        return schema.validate_python(body)
    except ValidationError as error:
        fault = fault_of(error)
        assert not isinstance(fault, NotJson)  # it was JSON
        raise fault from None


def _answer(result: Decision | RequestFault) -> dict[str, object]:
    if isinstance(result, RequestFault):
        body = fault_body(result)
        return _failed(int(str(body["status"])), str(body["detail"]))
    told = decision_body(result)
    refusals = [reason for reason in result.reasons if reason.refuses]
    context: dict[str, object] = {
        "decision_id": result.id,
        "status": result.status,
        "plan": result.plan,
        "warnings": [
            {"code": reason.code, "id": reason.id, "message": reason.message}
            for reason in result.reasons
            if not reason.refuses
        ],
    }
    if refusals:
        context["reason_admin"] = {"en": _in_words(refusals)}
        context["reason_user"] = {"en": refusals[0].message}
    passed_on = ("limits", "would_deny", "reservation", "remedies", "errors", "degraded", "policy")
    context |= {name: told[name] for name in passed_on}
    return {"decision": not result.is_denied, "context": context}


def _in_words(refusals: Sequence[Reason]) -> str:
    return "; ".join(f"{reason.code} {reason.id}: {reason.message}" for reason in refusals)


def _failed(status: int, message: str) -> dict[str, object]:
    return {"decision": False, "context": {"error": {"status": status, "message": message}}}
