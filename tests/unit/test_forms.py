"""Is what a form writes what the scripts read, whoever the first was that it was made for?"""

import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from sidecar.adapters.documents import fingerprint, read_request, write_limits, write_request
from sidecar.adapters.redis.forms import Form, Forms
from sidecar.adapters.redis.lines import entry_of
from sidecar.domain.counting import lay_out
from sidecar.domain.limits import Charge, Dimension, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.prices import Rates
from sidecar.domain.request import Amounts, CheckRequest, MeterKind, Subject
from sidecar.domain.usage import Hold, name_reservation
from sidecar.domain.windows import BillingCycle, Fixed, Sliding, from_ms, to_ms

NOW_MS = to_ms(datetime(2026, 5, 5, 12, tzinfo=UTC))
DAY_MS = 86_400_000

windows = st.sampled_from([Sliding(60_000), Sliding(3_600_000), *Fixed])
limits = st.builds(
    Limit,
    id=st.sampled_from(["plain", "50% off", 'a "quoted" one', "ümlaut"]),
    meter=st.sampled_from([MeterKind.TOKENS, MeterKind.REQUESTS]),
    maximum=st.none() | st.integers(0, 10**12),
    window=windows,
    per=st.sampled_from([(Dimension.APP,), (Dimension.APP, Dimension.USER)]),
    mode=st.sampled_from(Mode),
    base=st.none() | st.integers(0, 100),
)
users = st.sampled_from(["ann", "b%d", "çelik", 'x"y', "z z"])
past = st.integers(NOW_MS - 900 * DAY_MS, NOW_MS).map(from_ms)
cycles = st.builds(
    BillingCycle, anchor=st.none() | past, months=st.sampled_from([1, 12])
) | st.builds(
    lambda start, days, anchor: BillingCycle(start, start + timedelta(days=days), anchor),
    past,
    st.integers(20, 40),
    st.none() | past,
)
instants = st.integers(NOW_MS - 400 * DAY_MS, NOW_MS + 400 * DAY_MS)


def request_of(user: str, tokens: int) -> CheckRequest:
    estimate = Amounts(tokens, tokens, 0, requests=1, concurrency=1)
    return CheckRequest(Subject("app", user), "a plugin", model="%s", estimate=estimate)


def charged(request: CheckRequest, asked: Sequence[Limit], cycle: BillingCycle) -> list[Charge]:
    return [
        Charge(each, each.counter(request), request.estimate.of(each.meter), cycle)
        for each in asked
    ]


@given(
    st.lists(limits, max_size=4),
    st.lists(st.tuples(users, instants, cycles), min_size=1, max_size=4),
)
def test_a_form_is_filled_in_for_each_request_alone(
    asked: Sequence[Limit], requests: Sequence[tuple[str, int, BillingCycle]]
) -> None:
    forms = Forms(charges_on_expiry=False)
    for tokens, (user, at_ms, cycle) in enumerate([*requests, *requests]):
        request = request_of(user, tokens)
        charges, hold = charged(request, asked, cycle), hold_of(request)
        layout, form = lay_out(charges, at_ms), forms.at(charges, at_ms)
        assert form.keys("p", charges) == [
            f"p:c:{it.name}@{it.a}" if it.kind == "p" else f"p:c:{it.name}"
            for it in layout.counters
        ]
        numbers = unpacked(form.hold_numbers(charges, 7))
        assert numbers[:4] == [7_000, *layout.span, len(layout.counters)]
        behind = 4 + 3 * len(layout.counters)
        assert numbers[6:behind:3] == [it.amount for it in layout.counters]
        assert numbers[behind::4] == [index + 1 for index in layout.indexes]
        assert numbers[behind + 2 :: 4] == [it.need for it in charges]
        assert form.numbers(charges) == form.hold_numbers(charges, 7)[8:]
        record = form.record(hold, charges)
        zeros = 8 * behind
        assert unpacked(record[:zeros]) == [0, 0, behind - 4, 0, *[0] * (behind - 4)]
        lines = record[zeros:].decode().split("\n")
        assert lines[0] == f"held {tokens} 0 0 0 0 0 0 3 4"
        assert orjson.loads(lines[6]) == [list(entry_of(it)) for it in layout.counters]
        assert lines[9] == form.limits == write_limits(asked, layout.indexes)
        assert read_request(lines[11]) == request


def test_what_is_told_alike_is_read_alike_by_both_ways() -> None:
    """One is short, for what is usual; the other knows of grants and of what does not fit."""
    asked = [
        Limit("a", MeterKind.TOKENS, 100, Sliding(60_000), (Dimension.APP,), Mode.ENFORCE),
        Limit("b", MeterKind.TOKENS, None, Fixed.DAY, (Dimension.APP,), Mode.ENFORCE),
        Limit("c", MeterKind.TOKENS, 10**9, Fixed.LIFETIME, (Dimension.APP,), Mode.ENFORCE),
    ]
    charges = charged(request_of("ann", 5), asked, BillingCycle())
    form = Form(charges, NOW_MS, charges_on_expiry=False)
    told = [7, 3, NOW_MS // 1_000, 8, 2, 0, 9, 1, 0]
    short = form.readings(charges, packed(told))
    assert short == form.readings(charges, packed([*told, *[0] * 6]))
    assert [(it.used, it.reserved, it.requested) for it in short] == [
        (7, 3, 5),
        (8, 2, 5),
        (9, 1, 5),
    ]
    assert [it.resets_at and to_ms(it.resets_at) - NOW_MS for it in short] == [
        61_000, DAY_MS // 2, None,
    ]  # fmt: skip


def test_a_period_that_is_over_is_told_no_more() -> None:
    limit = Limit("a", MeterKind.TOKENS, 100, Fixed.DAY, (Dimension.APP,), Mode.ENFORCE)
    charges, forms = (
        charged(request_of("ann", 5), [limit], BillingCycle()),
        Forms(charges_on_expiry=False),
    )
    today = forms.at(charges, NOW_MS)
    assert forms.at(charges, NOW_MS + DAY_MS // 2 - 1) is today
    tomorrow = forms.at(charges, NOW_MS + DAY_MS // 2)
    assert unpacked(tomorrow.numbers(charges))[0] == NOW_MS + DAY_MS // 2


def test_limits_that_are_made_anew_with_each_request_have_one_form() -> None:
    limit = Limit("a", MeterKind.TOKENS, 100, Fixed.DAY, (Dimension.APP,), Mode.ENFORCE)
    forms, request = Forms(charges_on_expiry=False), request_of("ann", 5)
    first = forms.at(charged(request, [limit], BillingCycle()), NOW_MS)
    again = forms.at(charged(request, [replace(limit)], BillingCycle()), NOW_MS)
    other = forms.at(charged(request, [replace(limit, maximum=99)], BillingCycle()), NOW_MS)
    assert again is first
    assert other is not first


def test_only_a_request_that_may_come_again_has_a_fingerprint() -> None:
    request, form = request_of("ann", 5), Form((), NOW_MS, charges_on_expiry=True)
    named = replace(request, request_id="again")
    plain, again = (form.record(hold_of(it), ()).decode().split("\n") for it in (request, named))
    assert (plain[2], again[2]) == ("", fingerprint(write_request(named)))


def hold_of(request: CheckRequest) -> Hold:
    return Hold(name_reservation("app", "t" * 24), "dec_1", request, Rates(3, 4))


def packed(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def unpacked(numbers: bytes) -> list[int]:
    return [int(each) for each in struct.unpack(f"<{len(numbers) // 8}d", numbers)]
