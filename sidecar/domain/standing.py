"""How is a part of the server doing?"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from sidecar.domain.value import value


class State(StrEnum):
    """off is meant to be so; degraded answers, and somebody should look; down does not."""

    OK = "ok"
    OFF = "off"
    DEGRADED = "degraded"
    DOWN = "down"


@value
class Standing:
    """How a part stands.

    Attributes:
        facts: what there is to know of it, as JSON values, counts and instants.
        note: what a person should look at, empty for nothing.
    """

    state: State = State.OK
    facts: Mapping[str, object] = field(default_factory=dict)
    note: str = ""


def worst(states: list[State]) -> State:
    """What they come to together; what is off counts for nothing."""
    for state in (State.DOWN, State.DEGRADED):
        if state in states:
            return state
    return State.OK
