"""Is anything said of expressions that nobody would write that is not so, and nothing raised?"""

from __future__ import annotations

import random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.cel import CelError, Program
from sidecar.cel import compile as compile_cel
from sidecar.cel.logic.cases import Bounds, Possibilities
from sidecar.cel.logic.claims import Claim
from sidecar.cel.logic.failing import certain_error, may_fail
from sidecar.cel.logic.resolved import resolved
from sidecar.cel.typed import within
from tests.unit.cel.generated import ENVIRONMENT, Writer, bindings


@settings(max_examples=400, deadline=None)
@given(st.integers(min_value=0))
def test_no_bindings_refute_what_is_said_of_an_expression(seed: int) -> None:
    pick = random.Random(seed)
    program = compile_cel(Writer(pick).write("bool", pick.randint(1, 5)), ENVIRONMENT)
    assume(isinstance(program, Program))
    assert isinstance(program, Program)

    node = resolved(program.tree, {}, lambda _: None)
    claim = Claim(node, may_fail(program.tree), Possibilities(Bounds()))
    fails = certain_error(node) is not None
    assert all(certain_error(part) != "" for part in within(node))
    for _ in range(20):
        value = program.evaluate(bindings(pick))
        assert not (claim.is_never_true and value is True)
        assert not (claim.is_never_false and value is False)
        assert claim.may_err or not isinstance(value, CelError)
        assert not fails or isinstance(value, CelError)
