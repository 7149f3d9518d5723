"""A value is shown as one would type it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import cel
from sidecar.cel import CelError, CelType, Duration, Environment, Program, Timestamp, Uint
from sidecar.cel.shown import shown

INSTANTS = st.datetimes(timezones=st.just(UTC))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.integers(0, 2**64 - 1).map(Uint)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | INSTANTS.map(Timestamp.from_datetime)
    | st.timedeltas(timedelta(-1_000), timedelta(1_000)).map(Duration.from_timedelta)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@given(VALUES)
def test_what_is_shown_means_the_value(value: Any) -> None:
    text = shown(value, 10_000)

    program = cel.compile(text, Environment({}))

    assert isinstance(program, Program), text
    assert program.evaluate({}) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 300, '"' + "x" * 254 + "…"),
        (list(range(10**6)), None),
        ({"a": "b" * 10**6}, None),
        (CelType("int"), "int"),
        (CelError("division by zero", 0, 1), "division by zero"),
        (datetime(2026, 5, 1, tzinfo=UTC), 'timestamp("2026-05-01T00:00:00Z")'),
        ((1, 2), "[1, 2]"),
        (float("nan"), 'double("nan")'),
    ],
)
def test_a_value_is_cut_where_it_is_long(value: object, text: str | None) -> None:
    told = shown(value)

    assert len(told) <= 256
    assert told == text or (text is None and told.endswith("…"))
