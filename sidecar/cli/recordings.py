"""What was recorded? Lines of decision logs, checks and reports of use, read as they come."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from sidecar.adapters.decisions.files import decision_files, series_of
from sidecar.adapters.decisions.lines import read_request, read_subscription, read_wallet
from sidecar.adapters.decisions.sample import is_sampled
from sidecar.api.cloudevents import event_of
from sidecar.api.faults import InvalidBody, fault_of
from sidecar.api.fields import Instant
from sidecar.api.schemas import CHECK
from sidecar.api.usage_schemas import USAGE_EVENT
from sidecar.cli.recorded_line import RECORDED_LINE
from sidecar.domain.decision import Effect
from sidecar.domain.modes import Mode
from sidecar.errors import ConfigurationError
from sidecar.policy.simulation.events import Asked, Event, Said, Used

_LOOKED_AT: Final = 1_000
"""Events of each source that are looked at beforehand, for whether they tell of use."""
_TOLD: Final = 3
_INSTANT: Final = TypeAdapter(Instant)

Stream = Iterator[Event]


@dataclass(slots=True)
class Reading:
    """How far it is read.

    Attributes:
        size: bytes in all, 0 where nobody knows.
        left_out: decisions of users whose allows were not recorded.
        wrong: lines that could not be read; of the first it is told why.
    """

    size: int = 0
    done: int = 0
    events: int = 0
    left_out: int = 0
    wrong: int = 0
    why: list[str] = field(default_factory=list)


class Recordings:
    """The events of several files and directories of decision logs, `-` for standard input.

    Files are read side by side, and so come in the order of their times.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self.reading = Reading()
        self._streams = [self._peeked(files) for files in self._series(sources)]

    @property
    def tell_of_use(self) -> bool:
        """Whether there are reports of use near their beginnings."""
        return any(isinstance(event, Used) for seen, _ in self._streams for event in seen)

    def __iter__(self) -> Iterator[Event]:
        """Every event."""
        streams = [chain(seen, rest) for seen, rest in self._streams]
        return streams[0] if len(streams) == 1 else merge(*streams, key=_at)

    def _series(self, sources: Sequence[str]) -> list[list[Path]]:
        """Files that follow one another, each time."""
        found: list[list[Path]] = []
        for source in sources:
            path = Path(source)
            if source == "-" or path.is_file():
                found.append([path])
            elif path.is_dir():
                series = defaultdict(list)
                for file in decision_files(path):
                    series[series_of(file)].append(file)
                if not series:
                    raise ConfigurationError(f"{path}: there is no decision log in this directory")
                found.extend(series.values())
            else:
                raise ConfigurationError(f"{path}: there is no such file or directory")
        files = [file for each in found for file in each if str(file) != "-"]
        if all(str(file) != "-" for each in found for file in each):
            self.reading.size = sum(file.stat().st_size for file in files)
        return found

    def _peeked(self, files: list[Path]) -> tuple[list[Event], Stream]:
        stream = chain.from_iterable(map(self._read, files))
        return list(islice(stream, _LOOKED_AT)), stream

    def _read(self, file: Path) -> Stream:
        if str(file) == "-":
            yield from self._events("standard input", sys.stdin.buffer)
            return
        try:
            with file.open("rb") as opened:
                yield from self._events(str(file), opened)
        except OSError as error:
            raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error

    def _events(self, name: str, opened: BinaryIO) -> Stream:
        reading = self.reading
        for number, line in enumerate(opened, 1):
            reading.done += len(line)
            if line.isspace():
                continue
            try:
                events = events_of(line)
            except (ValueError, KeyError, TypeError, InvalidBody) as error:
                reading.wrong += 1
                if len(reading.why) < _TOLD:
                    reading.why.append(f"{name}:{number}: {_words(error)}")
                continue
            for event in events:
                if event is None:
                    reading.left_out += 1
                else:
                    reading.events += 1
                    yield event


def events_of(line: bytes) -> list[Event | None]:
    """The events of a line; None is a decision whose user's allows were not recorded.

    Raises:
        ValueError, KeyError, TypeError, InvalidBody: it has none.
    """
    written = orjson.loads(line)
    if isinstance(written, dict) and isinstance(written.get("events"), list):
        written = written["events"]
    return (
        [_event_of(each) for each in written] if isinstance(written, list) else [_event_of(written)]
    )


def _event_of(written: object) -> Event | None:
    if not isinstance(written, dict):
        raise ValueError("an event is an object")
    if "decision_id" in written:
        return _decision(written)
    if "specversion" in written:
        written = event_of(written)
    if "event_ts" in written:
        event = USAGE_EVENT.validate_python(written)
        if event.event_ts is None:
            raise ValueError("an event_ts that is null tells no time")
        return Used(event.event(event.event_ts))
    if "at" in written:
        at = _INSTANT.validate_python(written.pop("at"))
        return Asked(at, CHECK.validate_python(written).request())
    raise ValueError("no decision, no use with an event_ts and no check with an at")


def _decision(written: dict[str, Any]) -> Asked | None:
    RECORDED_LINE.validate_python(written)
    request = read_request(written["request"])
    if not is_sampled(request.subject, written["allows"]):
        return None
    effect, state = Effect(written["effect"]), written["subscription"]
    wallet = written.get("wallet")
    reasons = written["reasons"]
    if effect is Effect.DENY:
        reasons = [it for it in reasons if (it["effect"], it["mode"]) == (effect, Mode.ENFORCE)]
    return Asked(
        at=datetime.fromisoformat(written["at"]),
        request=request,
        subscription=None if state is None else read_subscription(state, request.subject),
        said=Said(effect, tuple(reason["id"] for reason in reasons)),
        reservation=written["reservation"] or "",
        limits=tuple(written["limits"]),
        degraded=written["degraded"],
        hidden=written["hidden"] > 0,
        wallet=None if wallet is None else read_wallet(wallet, request.subject),
    )


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(fault_of(error, 2))
    if isinstance(error, orjson.JSONDecodeError):
        return "this is not one whole JSON value"
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return str(error)


def _at(event: Event) -> datetime:
    return event.at


Told = Callable[[Reading], None]


def told_on_the_way(events: Iterable[Event], reading: Reading, tell: Told) -> Iterator[Event]:
    """The events, while it is told how far it is, now and then."""
    for number, event in enumerate(events):
        if number % 2_000 == 0:
            tell(reading)
        yield event
    tell(reading)
