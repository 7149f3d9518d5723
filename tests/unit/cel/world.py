"""The environment of a policy rule, small: what the tests' expressions speak of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sidecar.cel import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Environment,
    List,
    Map,
    Member,
    Object,
    Program,
    String,
    Type,
)
from sidecar.cel import (
    compile as compile_cel,
)

LIMIT = Object(
    "limit",
    {
        "used": Member(INT),
        "reserved": Member(INT),
        "remaining": Member(INT),
        "max": Member(INT),
        "ratio": Member(DOUBLE),
    },
)
ENVIRONMENT = Environment(
    {
        "request": Object(
            "request",
            {
                "app_id": Member(STRING),
                "user_id": Member(STRING),
                "plugin": Member(STRING),
                "model": Member(STRING),
                "estimated_tokens": Member(INT),
                "attributes": Member(Map(STRING, DYN, 64)),
                "tags": Member(List(STRING, 64)),
                "counts": Member(List(INT, 64)),
                "note": Member(STRING, optional=True),
            },
        ),
        "subscription": Object(
            "subscription",
            {
                "status": Member(String(known=frozenset({"active", "trial", "past_due"}))),
                "seats": Member(INT),
                "trial_end": Member(TIMESTAMP, optional=True),
                "wallet": Member(Object("wallet", {"balance": Member(INT)}), optional=True),
            },
        ),
        "plan": Object("plan", {"id": Member(STRING), "features": Member(Map(STRING, BOOL))}),
        "limits": Map(STRING, LIMIT),
        "now": TIMESTAMP,
        "vars": Object("vars", {"big": Member(BOOL)}),
        "anything": DYN,
    }
)


def bindings(**request: Any) -> dict[str, Any]:
    """One request's facts; the keywords replace members of ``request``."""
    return {
        "request": {
            "app_id": "app",
            "user_id": "ann",
            "plugin": "gh.search",
            "model": "gpt-4o",
            "estimated_tokens": 500,
            "attributes": {"staff": False, "region": "eu"},
            "tags": ["beta", "gh"],
            "counts": [1, 2, 3],
            **request,
        },
        "subscription": {
            "status": "trial",
            "seats": 3,
            "trial_end": datetime(2026, 6, 1, tzinfo=UTC),
        },
        "plan": {"id": "free", "features": {"export": True}},
        "limits": {
            "free-burst": {"used": 95, "reserved": 0, "remaining": 5, "max": 100, "ratio": 0.95}
        },
        "now": datetime(2026, 5, 3, 21, 30, tzinfo=UTC),
        "vars": {"big": True},
        "anything": None,
    }


def program(source: str, environment: Environment = ENVIRONMENT, **options: Type) -> Program:
    """The compiled expression; a test that gives a wrong one fails with its problems."""
    compiled = compile_cel(source, environment, **options)
    assert isinstance(compiled, Program), "\n".join(problem.show(source) for problem in compiled)
    return compiled


def value(source: str, **request: Any) -> object:
    """What the expression gives over `bindings`."""
    return program(source).evaluate(bindings(**request))
