"""Whatever remembers names from outside has a bound, and keeps it while names are ever new.

`make soak` shows the same of a whole server; here each of those that remember is alone, and small.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from sidecar.adapters import arrivals as room_of_arrivals
from sidecar.adapters.arrivals import Arrivals
from sidecar.adapters.decisions.told import LoggedDecisions
from sidecar.adapters.guarded import owed as room_of_owed
from sidecar.adapters.guarded.owed import Owed
from sidecar.adapters.metrics.instruments import ByName
from sidecar.adapters.redis import epochs as room_of_epochs
from sidecar.adapters.redis import leasing as room_of_leasing
from sidecar.adapters.redis.epochs import Epochs
from sidecar.adapters.redis.leasing import Leasing
from sidecar.adapters.standby.remembered import RememberedFacts
from sidecar.domain.limits import Charge, Dimension, Limit
from sidecar.domain.modes import FailureMode, Mode
from sidecar.domain.request import Amounts, MeterKind, Subject
from sidecar.domain.windows import BillingCycle, Fixed
from tests.unit.world import NOW

MOST = 50
NAMES = 40 * MOST


def kept_by(thing: object) -> Iterator[Collection[Any]]:
    """Every collection that an object of ours has, and what is in those of ours that it has."""
    slots = [name for each in type(thing).__mro__ for name in getattr(each, "__slots__", ())]
    for name in [*getattr(thing, "__dict__", ()), *slots]:
        value = getattr(thing, name, None)
        if isinstance(value, dict | list | set | frozenset) or hasattr(value, "popleft"):
            yield cast("Collection[Any]", value)
        elif type(value).__module__.startswith("sidecar.adapters"):
            yield from kept_by(value)


def epochs() -> tuple[object, Callable[[str], object]]:
    known = Epochs(lambda: 0.0)

    def lose(name: str) -> None:
        for epoch in ("1", "2"):
            known.see(name, epoch)

    return known, lose


def paces() -> tuple[object, Callable[[str], object]]:
    never: Any = None
    leasing = Leasing(never, never, never, lambda: 0.0, is_charged=False)
    return leasing, lambda name: leasing.note((name,), (1,), 0.0)


def remembered() -> tuple[object, Callable[[str], object]]:
    facts = RememberedFacts(MOST)
    limit = Limit(
        "a", MeterKind.TOKENS, 10, Fixed.DAY, (Dimension.APP, Dimension.USER), Mode.ENFORCE,
        failure_mode=FailureMode.LOCAL,
    )  # fmt: skip

    def hold_and_settle(name: str) -> None:
        charge = Charge(limit, f"tokens:day:user={name}", 1, BillingCycle())
        subject = Subject("acme", name)
        facts.hold(name, subject, [charge], NOW, NOW + timedelta(days=1))
        facts.settle(name, Amounts(input_tokens=1, output_tokens=0), NOW)

    return facts, hold_and_settle


def unknown_models() -> tuple[object, Callable[[str], object]]:
    log = LoggedDecisions()
    return log, log.unknown_model


def apps_with_deliveries() -> tuple[object, Callable[[str], object]]:
    apps = Arrivals()
    return apps, apps.note


def holds_in_doubt() -> tuple[object, Callable[[str], object]]:
    never: Any = None
    owed = Owed(never, never)
    return owed, owed.note_doubt


def labels() -> tuple[object, Callable[[str], object]]:
    counter: Any = type("Counted", (), {"add": lambda self: None})()
    by_name = ByName(str, MOST, counter)
    return by_name, by_name.of


@pytest.mark.parametrize(
    "remembering",
    [
        epochs,
        paces,
        remembered,
        unknown_models,
        apps_with_deliveries,
        holds_in_doubt,
        labels,
    ],
)
async def test_what_is_remembered_of_ever_new_names_is_bounded(
    remembering: Callable[[], tuple[object, Callable[[str], object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for room, bound in (
        (room_of_epochs, "_APPS"),
        (room_of_leasing, "_MOST_PACES"),
        (room_of_arrivals, "_MOST"),
        (room_of_owed, "_MOST"),
    ):
        monkeypatch.setattr(room, bound, MOST)
    thing, remember = remembering()
    for number in range(NAMES):
        remember(f"name-{number}")

    sizes = [len(each) for each in kept_by(thing)]
    assert sizes
    assert max(sizes) > 0
    # The bounds of some are twice what is named.
    assert max(sizes) <= 2 * MOST + 1
