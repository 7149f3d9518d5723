"""How a single conformance case is judged."""

from __future__ import annotations

from sidecar.cel.conformance import run


def test_a_case_fails_when_the_value_has_another_type() -> None:
    case = {
        "file": "f",
        "section": "s",
        "name": "n",
        "expr": "1",
        "expect": {"value": {"type": "uint", "value": "1"}},
    }
    assert run(case).failure


def test_a_case_that_wants_an_error_is_content_with_a_refusal() -> None:
    case = {
        "file": "f",
        "section": "s",
        "name": "n",
        "expr": "1 + true",
        "expect": {"error": ["no overload"]},
    }
    assert not run(case).failure
