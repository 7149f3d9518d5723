"""Answers that are put together of pieces: the same JSON as if they were written whole."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from sidecar.api.rate_limit import rate_limit
from sidecar.api.refusals import retry_after, title
from sidecar.api.written import decision_json, settlement_json
from sidecar.domain.decision import (
    Decision,
    Effect,
    Reason,
    ReasonCode,
    Remedy,
    RemedyKind,
    Reservation,
    RuleError,
)
from sidecar.domain.limits import Dimension, Limit, Reading
from sidecar.domain.modes import Mode, Refusal
from sidecar.domain.request import MAX_INTEGER, MeterKind
from sidecar.domain.shown import limits_shown, reasons_shown
from sidecar.domain.usage import ReservationState, Settlement
from sidecar.domain.windows import Fixed, Sliding

NOW = datetime(2026, 5, 5, 21, 30, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(["free-burst", "gänge", 'a"b', "back\\slash", "x" * 40])
ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.=", min_size=1, max_size=40)
counts = st.integers(0, MAX_INTEGER)
zones = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(minutes=-90))])
instants = st.builds(
    lambda us, zone: (NOW + timedelta(microseconds=us)).astimezone(zone),
    st.integers(-(10**15), 10**17) | st.integers(0, 10**8).map(lambda s: s * 1_000_000),
    zones,
)
spans = st.builds(Sliding, st.integers(1, 90_000).map(lambda s: s * 1_000))
limits = st.builds(
    Limit,
    id=names,
    meter=st.sampled_from(MeterKind),
    maximum=st.none() | counts,
    window=st.sampled_from(Fixed) | spans,
    per=st.lists(st.sampled_from(Dimension), unique=True).map(tuple),
    mode=st.sampled_from(Mode),
    base=st.none() | counts,
)
readings = st.lists(
    st.builds(
        Reading,
        limit=limits,
        used=counts,
        reserved=counts,
        requested=counts,
        resets_at=st.none() | instants,
        granted=counts,
    ),
    max_size=4,
).map(tuple)
reasons = st.builds(
    Reason,
    code=st.sampled_from(ReasonCode),
    id=names | st.just("wallet"),
    effect=st.sampled_from([Effect.WARN, Effect.DENY]),
    mode=st.sampled_from(Mode),
    message=texts,
    refusal=st.sampled_from(Refusal),
)
remedies = st.builds(
    Remedy,
    kind=st.sampled_from(RemedyKind),
    plan=st.none() | texts,
    limit=st.none() | names,
    url=st.none() | texts,
    until=st.none() | instants,
)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Any answer, those that a decision point would never give among them."""
    effect = draw(st.sampled_from(Effect))
    first = [draw(reasons)] if effect is Effect.DENY else []
    return Decision(
        id="dec_" + draw(ids),
        at=draw(instants),
        effect=effect,
        mode=draw(st.sampled_from(Mode)),
        plan=draw(st.none() | texts),
        subscription_status=draw(st.sampled_from(["none", "active"]) | texts),
        reasons=(*first, *draw(st.lists(reasons, max_size=2))),
        readings=draw(readings),
        revision="sha256:" + draw(ids),
        reservation=draw(st.none() | st.builds(Reservation, ids, instants, counts)),
        remedies=tuple(draw(st.lists(remedies, max_size=2))),
        errors=tuple(draw(st.lists(st.builds(RuleError, names, texts), max_size=2))),
        degraded=draw(st.booleans()),
        data_age_s=draw(st.none() | st.floats(0, 1e6)),
    )


def remedy_shown(remedy: Remedy) -> dict[str, object]:
    """What would help, with what belongs to its kind."""
    members: dict[RemedyKind, dict[str, object]] = {
        RemedyKind.UPGRADE: {"plan": remedy.plan, "url": remedy.url},
        RemedyKind.TOP_UP: {"limit": remedy.limit, "url": remedy.url},
        RemedyKind.WAIT: {"until": remedy.until},
    }
    return {"type": remedy.kind, **members[remedy.kind]}


def whole(decision: Decision) -> dict[str, object]:
    """What the answer to a check has, as the contract has it."""
    held = decision.reservation
    body: dict[str, object] = {
        "decision_id": decision.id,
        "effect": decision.effect,
        "allowed": not decision.is_denied,
        "status": decision.status,
        "mode": decision.mode,
        "plan": decision.plan,
        "subscription_status": decision.subscription_status,
        "reasons": reasons_shown(decision.reasons),
        "would_deny": decision.would_deny,
        "limits": limits_shown(decision.readings),
        "reservation": held
        and {
            "id": held.id,
            "expires_at": held.expires_at,
            "granted": {"tokens": held.tokens},
        },
        "remedies": [*map(remedy_shown, decision.remedies)],
        "retryable": decision.is_denied and retry_after(decision) is not None,
        "policy": {"revision": decision.revision},
        "errors": [{"id": error.id, "message": error.message} for error in decision.errors],
        "degraded": decision.degraded,
    }
    if decision.degraded:
        body["data_age_s"] = decision.data_age_s
    if decision.is_denied:
        body["type"] = f"urn:mozaiks:sidecar:problem:{decision.reasons[0].code}"
        body["title"] = title(decision.reasons[0], decision.readings)
        body["detail"] = decision.reasons[0].message
        body["instance"] = f"urn:mozaiks:sidecar:decision:{decision.id}"
    return body


@given(decisions())
def test_a_decision_is_written_as_json_has_it(decision: Decision) -> None:
    assert decision_json(decision) == to_json(whole(decision))


@given(
    st.builds(
        Settlement,
        reservation_id=texts,
        state=st.sampled_from(ReservationState),
        expires_at=st.none() | instants,
        tokens=st.none() | counts,
        readings=readings,
        degraded=st.booleans(),
    )
)
def test_a_settlement_is_written_as_json_has_it(settled: Settlement) -> None:
    assert settlement_json(settled) == to_json(
        {
            "reservation": {
                "id": settled.reservation_id,
                "state": settled.state,
                "expires_at": settled.expires_at,
                "granted": {"tokens": settled.tokens},
            },
            "limits": limits_shown(settled.readings),
            "degraded": settled.degraded,
        }
    )


def allowed(*readings: Reading) -> Decision:
    """An allow with these limits."""
    return Decision(
        "dec_1", NOW, Effect.ALLOW, Mode.ENFORCE, "free", "active", (), readings, "sha256:1"
    )


def reading(name: str, maximum: int | None, used: int, resets_at: datetime | None) -> Reading:
    """What a limit of tokens in a minute holds."""
    limit = Limit(name, MeterKind.TOKENS, maximum, Sliding(60_000), (Dimension.USER,), Mode.ENFORCE)
    return Reading(limit, used, 0, 10, resets_at)


def test_a_limit_that_is_changed_is_written_anew() -> None:
    for maximum in range(5_000):
        told = decision_json(allowed(reading("burst", maximum, 0, None)))
        assert b'"limit":%d,' % maximum in told


def test_the_limit_with_the_least_part_left_stands_in_the_headers() -> None:
    soon = NOW + timedelta(seconds=4, microseconds=1)
    wide, tight = reading("wide", 100, 50, None), reading("tight", 10_000, 9_000, soon)

    assert rate_limit(allowed(wide, tight, reading("none", None, 7, None))) == (
        (b"ratelimit-policy", b'"tight";q=10000;w=60'),
        (b"ratelimit", b'"tight";r=1000;t=5'),
    )
    assert rate_limit(allowed(reading("none", None, 7, None))) == ()


def test_a_limit_that_refuses_stands_in_the_headers_before_all_others() -> None:
    refusal = Reason(ReasonCode.QUOTA_EXCEEDED, "wide", Effect.DENY, Mode.ENFORCE, "")
    wide, tight = reading("wide", 100, 50, NOW - timedelta(hours=1)), reading("tight", 9, 9, None)
    decision = Decision(
        "dec_1", NOW, Effect.DENY, Mode.ENFORCE, "free", "active", (refusal,), (tight, wide), "1"
    )

    assert dict(rate_limit(decision))[b"ratelimit"] == b'"wide";r=50;t=0'
