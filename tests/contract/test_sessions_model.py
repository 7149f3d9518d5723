"""Are sessions counted as the definition says, whatever happens in whatever order?

The model keeps all that was told, and adds up from it every time.
"""

import contextlib
import itertools
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.domain.limits import Dimension
from sidecar.domain.request import MeterKind
from sidecar.domain.usage import OnExpiry
from sidecar.errors import ReservationEnded, UnknownReservation
from tests.contract.conftest import Opened
from tests.contract.stores import START, ManualClock, World, limit

A, U = Dimension.APP, Dimension.USER
MONTHLY = limit(None)
INPUT = limit(None, meter=MeterKind.INPUT_TOKENS, name="input")
PER_SESSION = limit(None, per=[A, U, Dimension.SESSION], name="per-session")
PER_MODEL = limit(None, per=[A, U, Dimension.MODEL], name="per-model")
LIMITS = (MONTHLY, INPUT, PER_SESSION, PER_MODEL)
SESSIONS = ("", "one", "two")
NAMES = itertools.count()

Units = tuple[int, int]
"""Tokens, and input tokens among them."""


@dataclass(frozen=True)
class Delta:
    """An event; with a run it draws that down, and names its session or none."""

    session: str
    units: Units
    name: int
    run: int | None

    def session_with(self, run: str | None) -> str:
        return self.session if run is None else self.session and run


@dataclass(frozen=True)
class Summary:
    session: str
    units: Units
    name: int


@dataclass(frozen=True)
class Hold:
    session: str
    units: Units
    ttl_s: int


@dataclass(frozen=True)
class Commit:
    run: int
    units: Units
    final: bool


@dataclass(frozen=True)
class Release:
    run: int


@dataclass(frozen=True)
class Advance:
    minutes: int


Step = Delta | Summary | Hold | Commit | Release | Advance
UNITS = st.tuples(st.integers(0, 50), st.integers(0, 50))
SESSION = st.sampled_from(SESSIONS)
RUN = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.builds(Delta, SESSION, UNITS, st.integers(0, 30), st.none() | RUN),
        st.builds(Summary, st.sampled_from(SESSIONS[1:]), UNITS, st.integers(0, 30)),
        st.builds(
            Summary,
            st.sampled_from(SESSIONS[1:]),
            st.tuples(st.integers(0, 300), st.integers(0, 300)),
            st.integers(0, 30),
        ),
        st.builds(Hold, SESSION, UNITS, st.sampled_from([60, 3_600])),
        st.builds(Commit, RUN, UNITS, st.booleans()),
        st.builds(Release, RUN),
        st.builds(Advance, st.sampled_from([1, 61])),
    ),
    min_size=5,
    max_size=30,
)


@dataclass
class Run:
    session: str
    held: Units
    ends: int
    told: Units = (0, 0)
    state: str = "held"
    is_guessed: bool = False


@dataclass
class Model:
    """What was told so far.

    Attributes:
        charges: whether what expires counts as used.
    """

    charges: bool
    now: int = 0
    deltas: dict[str, list[Units]] = field(default_factory=lambda: defaultdict(list))
    summaries: dict[str, list[Units]] = field(default_factory=lambda: defaultdict(list))
    ids: set[int] = field(default_factory=set)
    runs: list[Run] = field(default_factory=list)

    def do(self, step: Step) -> None:
        match step:
            case Advance():
                self.now += step.minutes * 60_000
                for run in self.runs:
                    if run.state == "held" and run.ends <= self.now:
                        run.state, run.is_guessed = "expired", self.charges
            case Hold():
                self.runs.append(Run(step.session, step.units, self.now + step.ttl_s * 1_000))
            case Summary() | Delta() if step.name in self.ids:
                pass
            case Summary():
                self.ids.add(step.name)
                self.summaries[step.session].append(step.units)
            case Delta():
                self.ids.add(step.name)
                self._event(step)
            case Commit():
                charged = self.run(step.run)
                if charged is not None and charged.state in ("held", "expired"):
                    self._tell(charged, charged.session, _over(step.units, charged.told))
                    charged.state = "committed" if step.final else charged.state
            case Release():
                released = self.run(step.run)
                if released is not None and released.state == "held":
                    released.state = "released"

    def run(self, back: int | None) -> Run | None:
        return self.runs[-1 - back] if back is not None and back < len(self.runs) else None

    def _event(self, event: Delta) -> None:
        run = self.run(event.run)
        if run is None:
            self.deltas[event.session].append(event.units)
        elif run.state == "released":
            self.deltas[event.session_with(run.session)].append(event.units)
        elif run.state != "committed":
            self._tell(run, run.session, event.units)

    def _tell(self, run: Run, session: str, more: Units) -> None:
        run.told = _plus(run.told, more)
        run.is_guessed = False
        self.deltas[session].append(more)

    def counted(self, session: str) -> Units:
        """The greater of its deltas and its greatest summary; deltas alone, where it is none."""
        told = _plus(*self.deltas[session])
        greatest = [max(units) for units in zip((0, 0), *self.summaries[session], strict=True)]
        return (max(told[0], greatest[0]), max(told[1], greatest[1])) if session else told

    def guessed(self, session: str | None = None) -> Units:
        """What expiry has charged until better is known."""
        return self._left(session, [run for run in self.runs if run.is_guessed])

    def held(self, session: str | None = None) -> Units:
        """What is held still."""
        return self._left(session, [run for run in self.runs if run.state == "held"])

    def _left(self, session: str | None, runs: list[Run]) -> Units:
        chosen = [run for run in runs if session is None or run.session == session]
        return _plus(*(_over(run.held, run.told) for run in chosen))


def _plus(*units: Units) -> Units:
    return sum(tokens for tokens, _ in units), sum(received for _, received in units)


def _over(units: Units, before: Units) -> Units:
    return max(0, units[0] - before[0]), max(0, units[1] - before[1])


async def perform(world: World, step: Step, made: list[tuple[str, str]]) -> None:
    """One step in the store; what has ended refuses."""

    def run(back: int | None) -> tuple[str, str | None]:
        return made[-1 - back] if back is not None and back < len(made) else ("", None)

    tokens, received = (0, 0) if isinstance(step, Advance | Release) else step.units
    match step:
        case Advance():
            world.clock.advance(minutes=step.minutes)
        case Delta():
            name, session = run(step.run)
            chat = in_session(world, step.session_with(session))
            event = chat.event(
                *LIMITS, tokens=tokens, input_tokens=received, name=f"e-{step.name}",
                reservation_id=name,
            )  # fmt: skip
            await chat.record(event)
        case Summary():
            chat = in_session(world, step.session)
            told = chat.summary(
                *LIMITS, tokens=tokens, input_tokens=received, name=f"e-{step.name}"
            )
            await chat.record(told)
        case Hold():
            chat = in_session(world, step.session)
            held = await chat.held(*LIMITS, tokens=tokens, input_tokens=received, ttl_s=step.ttl_s)
            made.append((held, step.session))
        case Commit() if made:
            with contextlib.suppress(ReservationEnded, UnknownReservation):
                name, _ = run(step.run)
                await world.commit(name, tokens, input_tokens=received, final=step.final)
        case Release() if made:
            with contextlib.suppress(ReservationEnded, UnknownReservation):
                await world.release(run(step.run)[0])
        case _:
            pass


def in_session(world: World, session: str) -> World:
    return world.using(session_id=session, model="m", workflow="w")


async def agrees(world: World, model: Model) -> None:
    """Whether counters and reports say what the model does."""
    everything = _plus(*map(model.counted, SESSIONS))
    deltas = _plus(*(units for session in SESSIONS for units in model.deltas[session]))
    guessed, held = model.guessed(), model.held()
    for session in SESSIONS:
        levels = await in_session(world, session).levels(*LIMITS)
        own, mine, kept = model.counted(session), model.guessed(session), model.held(session)
        assert levels == [
            (everything[0] + guessed[0], held[0]),
            (everything[1] + guessed[1], held[1]),
            (own[0] + mine[0], kept[0]),
            (deltas[0] + guessed[0], held[0]),
        ]
    for user in (None, "user"):
        rows = await world.usage(user, START)
        told = _plus(*((row.used.tokens, row.used.input_tokens) for row in rows))
        by_model = _plus(
            *((row.used.tokens, row.used.input_tokens) for row in rows if row.model == "m")
        )
        assert (told, by_model) == (everything, deltas)


@pytest.mark.parametrize("on_expiry", OnExpiry)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
async def test_any_sequence_is_counted_as_the_definition_says(
    opened: Opened, clock: ManualClock, on_expiry: OnExpiry, steps: list[Step]
) -> None:
    clock.set(START)
    async with opened(on_expiry) as meter:
        world = World(meter, clock, app=f"app-{next(NAMES)}")
        model, made = Model(on_expiry is OnExpiry.CHARGE), list[tuple[str, str]]()
        for step in steps:
            await perform(world, step, made)
            model.do(step)
            await agrees(world, model)
