"""What follows from several reasons together?"""

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.decision import Decision, Effect, Reason, ReasonCode, combine
from sidecar.domain.modes import Mode


def reason(effect: Effect, mode: Mode, name: str = "r") -> Reason:
    return Reason(ReasonCode.RULE_DENIED, name, effect, mode, "because")


REASONS = st.lists(
    st.builds(
        reason,
        st.sampled_from([Effect.WARN, Effect.DENY]),
        st.sampled_from(Mode),
        st.text("abc", min_size=1, max_size=2),
    ),
    max_size=8,
)


def test_no_reason_allows() -> None:
    assert combine([]) == (Effect.ALLOW, ())


@pytest.mark.parametrize(
    ("effect", "mode", "outcome"),
    [
        (Effect.DENY, Mode.ENFORCE, Effect.DENY),
        (Effect.DENY, Mode.ADVISORY, Effect.WARN),
        (Effect.DENY, Mode.OFF, Effect.ALLOW),
        (Effect.WARN, Mode.ENFORCE, Effect.WARN),
        (Effect.WARN, Mode.ADVISORY, Effect.WARN),
        (Effect.WARN, Mode.OFF, Effect.ALLOW),
    ],
)
def test_the_mode_decides_what_a_reason_does(effect: Effect, mode: Mode, outcome: Effect) -> None:
    assert combine([reason(effect, mode)])[0] is outcome


@pytest.mark.parametrize(("effect", "mode"), [*product([Effect.WARN, Effect.DENY], Mode)])
def test_one_refusal_outweighs_everything(effect: Effect, mode: Mode) -> None:
    refusal = reason(Effect.DENY, Mode.ENFORCE, "no")
    assert combine([reason(effect, mode), refusal])[0] is Effect.DENY


def test_refusals_lead_and_all_else_keeps_its_order() -> None:
    reasons = [
        reason(Effect.WARN, Mode.ENFORCE, "a"),
        reason(Effect.DENY, Mode.ADVISORY, "b"),
        reason(Effect.DENY, Mode.ENFORCE, "c"),
        reason(Effect.DENY, Mode.OFF, "d"),
        reason(Effect.DENY, Mode.ENFORCE, "e"),
        reason(Effect.WARN, Mode.ADVISORY, "f"),
    ]
    assert [it.id for it in combine(reasons)[1]] == ["c", "e", "a", "b", "f"]


@given(REASONS)
def test_what_is_off_is_not_said_and_nothing_else_is_lost(reasons: list[Reason]) -> None:
    effect, spoken = combine(reasons)
    loud = [it for it in reasons if it.mode is not Mode.OFF]
    assert sorted(map(repr, spoken)) == sorted(map(repr, loud))
    assert (effect is Effect.ALLOW) == (not spoken)
    assert (effect is Effect.DENY) == any(it.refuses for it in reasons)


def test_would_deny_names_what_was_not_enforced() -> None:
    _, reasons = combine([
        reason(Effect.DENY, Mode.ADVISORY, "soft"),
        reason(Effect.DENY, Mode.ENFORCE, "hard"),
        reason(Effect.WARN, Mode.ADVISORY, "near"),
    ])  # fmt: skip
    decision = Decision(
        "dec_1", datetime(2026, 5, 5, tzinfo=UTC), Effect.DENY, Mode.ENFORCE, "free", "active",
        reasons, (), "sha256:0",
    )  # fmt: skip
    assert decision.would_deny == ("soft",)
    assert decision.is_denied
