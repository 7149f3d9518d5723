"""In which counter is a request counted, and what does a reading say?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.limits import Charge, Dimension, Limit, Reading
from sidecar.domain.modes import FailureMode, Mode
from sidecar.domain.request import Amounts, CheckRequest, MeterKind, Subject
from sidecar.domain.windows import BillingCycle, Fixed, Sliding

ALL = tuple(Dimension)
LIMIT = Limit(
    "burst", MeterKind.TOKENS, 100, Sliding(60_000), (Dimension.APP, Dimension.USER), Mode.ENFORCE
)
REQUEST = CheckRequest(
    Subject("acme", "bob", "t1"),
    plugin="search",
    workflow="chat",
    agent="planner",
    model="gpt-4o",
    session_id="s1",
)


def reading(used: int = 0, reserved: int = 0, requested: int = 0, **changes: object) -> Reading:
    return Reading(replace(LIMIT, **changes), used, reserved, requested, None)  # type: ignore[arg-type] # fields by name


def test_a_counter_is_named_by_meter_window_and_values() -> None:
    assert LIMIT.counter(REQUEST) == "tokens:60000ms:user=bob"
    assert replace(LIMIT, window=Fixed.BILLING_MONTH).counter(REQUEST) == (
        "tokens:billing_month:user=bob"
    )
    assert replace(LIMIT, per=ALL).counter(REQUEST) == (
        "tokens:60000ms:tenant=t1:user=bob:model=gpt-4o:workflow=chat:plugin=search"
        ":agent=planner:session=s1"
    )


def test_a_raised_limit_an_upgrade_or_a_milder_mode_keeps_what_was_used() -> None:
    changed = replace(
        LIMIT,
        id="pro-burst",
        maximum=None,
        mode=Mode.OFF,
        failure_mode=FailureMode.CLOSED,
        warn_from=3,
        message="m",
    )
    assert changed.counter(REQUEST) == LIMIT.counter(REQUEST)


def test_a_limit_with_a_condition_counts_for_itself() -> None:
    one = replace(LIMIT, conditional=True)
    assert one.counter(REQUEST) != LIMIT.counter(REQUEST)
    assert one.counter(REQUEST) != replace(one, id="other").counter(REQUEST)


@pytest.mark.parametrize(
    "change",
    [
        {"meter": MeterKind.REQUESTS},
        {"window": Sliding(61_000)},
        {"window": Fixed.MONTH},
        {"per": (Dimension.APP,)},
        {"per": (Dimension.APP, Dimension.MODEL)},
    ],
)
def test_another_meter_window_or_dimension_is_another_counter(change: dict[str, object]) -> None:
    changed = replace(LIMIT, **change)  # type: ignore[arg-type] # fields by name
    assert changed.counter(REQUEST) != LIMIT.counter(REQUEST)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "a:b", "user=bob", "#burst", "%", "%3A", ":", "=", "é", "%C3%A9", "a b", "bob:model=x"]
)


@given(st.tuples(TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT))
def test_different_values_never_share_a_counter(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    limit = replace(LIMIT, per=(Dimension.APP, Dimension.TENANT, Dimension.USER, Dimension.MODEL))

    def counter(values: tuple[str, str, str]) -> str:
        return limit.counter(CheckRequest(Subject("acme", values[0], values[1]), model=values[2]))

    assert (counter(one) == counter(other)) == (one == other)


@given(TEXT)
def test_a_value_never_looks_like_a_condition(value: str) -> None:
    request = CheckRequest(Subject("acme", value))
    plain = LIMIT.counter(request)
    conditional = replace(LIMIT, conditional=True)
    assert plain != conditional.counter(CheckRequest(Subject("acme", "bob")))
    assert "#" not in plain


@pytest.mark.parametrize(
    ("used", "reserved", "remaining"),
    [(0, 0, 100), (60, 30, 10), (100, 0, 0), (90, 20, 0), (500, 0, 0)],
)
def test_remaining_is_what_is_neither_used_nor_held(
    used: int, reserved: int, remaining: int
) -> None:
    assert reading(used, reserved).remaining == remaining


@pytest.mark.parametrize(
    ("used", "reserved", "requested", "exceeded"),
    [
        (0, 0, 100, False),
        (0, 0, 101, True),
        (60, 30, 10, False),
        (60, 30, 11, True),
        (99, 0, 0, False),
        (100, 0, 0, True),
    ],
)
def test_a_request_is_refused_that_does_not_fit_and_any_at_a_used_up_limit(
    used: int, reserved: int, requested: int, exceeded: bool
) -> None:
    assert reading(used, reserved, requested).is_exceeded is exceeded


def test_without_a_bound_nothing_is_exceeded_and_nothing_is_left_to_say() -> None:
    unbounded = reading(10**15, 0, 10**15, maximum=None)
    assert unbounded.remaining is None
    assert not unbounded.is_exceeded
    assert not unbounded.ends


def test_a_maximum_of_zero_refuses_everything() -> None:
    assert reading(maximum=0).is_exceeded


@pytest.mark.parametrize(
    ("used", "reserved", "requested", "near"),
    [(79, 0, 0, False), (80, 0, 0, True), (50, 20, 10, True), (50, 20, 9, False)],
)
def test_a_warning_is_given_from_the_point_of_warning(
    used: int, reserved: int, requested: int, near: bool
) -> None:
    assert reading(used, reserved, requested, warn_from=80).is_near is near


def test_a_limit_without_a_point_of_warning_never_warns() -> None:
    assert not reading(100).is_near


@pytest.mark.parametrize(
    ("window", "requested", "helps"),
    [
        (Sliding(60_000), 100, True),
        (Sliding(60_000), 101, False),
        (Fixed.BILLING_MONTH, 1, True),
        (Fixed.LIFETIME, 1, False),
    ],
)
def test_waiting_helps_where_the_window_ends_and_the_request_would_fit(
    window: Sliding | Fixed, requested: int, helps: bool
) -> None:
    assert reading(100, 0, requested, window=window).ends is helps


def test_a_charge_needs_room_for_one_unit_at_least() -> None:
    assert [Charge(LIMIT, "c", amount, BillingCycle()).need for amount in (0, 1, 7)] == [1, 1, 7]


@pytest.mark.parametrize(
    ("maximum", "mode", "enforced"),
    [
        (1, Mode.ENFORCE, True),
        (0, Mode.ENFORCE, True),
        (None, Mode.ENFORCE, False),
        (1, Mode.ADVISORY, False),
        (1, Mode.OFF, False),
    ],
)
def test_only_a_bound_that_is_enforced_can_refuse(
    maximum: int | None, mode: Mode, enforced: bool
) -> None:
    assert replace(LIMIT, maximum=maximum, mode=mode).is_enforced is enforced


@pytest.mark.parametrize("meter", MeterKind)
def test_every_meter_has_an_amount(meter: MeterKind) -> None:
    amounts = Amounts(1, 2, 3, 4, 5, 6)
    assert amounts.of(meter) == list(MeterKind).index(meter) + 1
