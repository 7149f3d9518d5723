"""What one process was told by the meter, line by line, in a file that only grows.

Fields are separated by tabs. Instants `at_ms` are the store's own; `began_ns` and `told_ns`
are the machine's monotonic clock, which all processes share: what was told before something
else began was known to the store when that was decided.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

NEVER: Final = 2**62


class LedgerWriter:
    """The file of one process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii")
        self.tally: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what was counted beside, and close."""
        self._line("T", json.dumps(self.tally))
        self._file.close()

    def granted(self, name: str, number: int, user: str, part: "Part") -> None:
        """Units that are held from an instant on: 0 is the reservation, others extend it."""
        self._line(
            "G", name, number, user, part.at_ms, part.units, part.expires_ms, part.began_ns,
            part.told_ns,
        )  # fmt: skip

    def settling(self, name: str, began_ns: int) -> None:
        """From here on less may be held than was granted."""
        self._line("S", name, began_ns)

    def charged(self, name: str, total: int, told_ns: int, *, late: bool) -> None:
        """All that a reservation was charged so far; late if its hold may have expired."""
        self._line("C", name, total, told_ns, int(late))

    def reported(self, name: str, user: str, at_ms: int, units: int, told_ns: int) -> None:
        """Use that nobody held."""
        self._line("R", name, user, at_ms, units, told_ns)

    def _line(self, *fields: object) -> None:
        self._file.write("\t".join(map(str, fields)) + "\n")


@dataclass(frozen=True, slots=True)
class Part:
    """Units held from an instant on.

    Attributes:
        expires_ms: until then they are held, unless somebody settles.
        began_ns, told_ns: around the call that was granted.
    """

    at_ms: int
    units: int
    expires_ms: int
    began_ns: int
    told_ns: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A part, and what became of it.

    Attributes:
        charged: units of it that were charged in time.
        settling_ns: from when on less may be held.
    """

    part: Part
    charged: int
    settling_ns: int


@dataclass(frozen=True, slots=True)
class Unasked:
    """Units that no limit let through: reported, late, or more than was held.

    Attributes:
        known_ns: from when on every decision knows them.
    """

    at_ms: int
    units: int
    known_ns: int


@dataclass(frozen=True, slots=True)
class UserLog:
    """Every charge of one user, each once, by instant."""

    granted: tuple[Granted, ...]
    unasked: tuple[Unasked, ...]

    @property
    def charges(self) -> list[tuple[int, int]]:
        """Instants and units of all."""
        return [(each.part.at_ms, each.charged) for each in self.granted] + [
            (each.at_ms, each.units) for each in self.unasked
        ]

    @property
    def total(self) -> int:
        """Units over all time."""
        return sum(units for _, units in self.charges)


@dataclass(frozen=True, slots=True)
class ExactLog:
    """What all processes were told, together."""

    users: dict[str, UserLog]
    tally: Counter[str]


@dataclass(slots=True)
class _Reserved:
    """One reservation as all processes together know it."""

    user: str
    parts: dict[int, Part] = field(default_factory=dict)

    def granted(self, number: int, part: Part) -> None:
        """Note a part; several processes may have been told of it, and one call made it."""
        known = self.parts.setdefault(number, part)
        assert (known.at_ms, known.units) == (part.at_ms, part.units), (known, part)
        self.parts[number] = replace(
            known,
            began_ns=min(known.began_ns, part.began_ns),
            told_ns=min(known.told_ns, part.told_ns),
        )


def read_ledgers(paths: Iterable[Path]) -> ExactLog:
    """The exact log of all processes together."""
    reservations: dict[str, _Reserved] = {}
    settling: dict[str, int] = {}
    charged: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)
    events: set[str] = set()
    granted: dict[str, list[Granted]] = defaultdict(list)
    unasked: dict[str, list[Unasked]] = defaultdict(list)
    tally: Counter[str] = Counter()
    for path in paths:
        with path.open(encoding="ascii") as lines:
            for line in lines:
                kind, *fields = line.rstrip("\n").split("\t")
                match kind, fields:
                    case "G", (name, number, user, *numbers):
                        reserved = reservations.setdefault(name, _Reserved(user))
                        reserved.granted(int(number), Part(*map(int, numbers)))
                    case "S", (name, began_ns):
                        settling[name] = min(settling.get(name, NEVER), int(began_ns))
                    case "C", (name, total, told_ns, late):
                        charged[name].append((int(told_ns), int(total), late == "1"))
                    case "R", (name, user, *numbers):
                        assert name not in events, f"{name} was accepted twice"
                        events.add(name)
                        unasked[user].append(Unasked(*map(int, numbers)))
                    case "T", (counted,):
                        tally.update(json.loads(counted))
                    case _:
                        raise AssertionError(line)
    for name, reserved in reservations.items():
        parts = [reserved.parts[number] for number in sorted(reserved.parts)]
        in_time, rest = _split(parts, sorted(charged[name]))
        unasked[reserved.user] += rest
        granted[reserved.user] += [
            Granted(part, units, settling.get(name, NEVER))
            for part, units in zip(parts, in_time, strict=True)
        ]
    users = {
        user: UserLog(
            tuple(sorted(granted[user], key=lambda each: each.part.at_ms)),
            tuple(sorted(unasked[user], key=lambda each: each.at_ms)),
        )
        for user in granted.keys() | unasked.keys()
    }
    return ExactLog(users, tally)


def _split(
    parts: list[Part], charged: list[tuple[int, int, bool]]
) -> tuple[list[int], list[Unasked]]:
    """What a reservation was charged: in its parts in their order, the rest where the last is."""
    in_time, rest, before = [0] * len(parts), [], 0
    for told_ns, total, late in charged:
        due, before = max(0, total - before), max(total, before)
        for index, part in enumerate(parts):
            units = 0 if late else min(due, part.units - in_time[index])
            in_time[index] += units
            due -= units
        if due:
            rest.append(Unasked(parts[-1].at_ms, due, told_ns))
    return in_time, rest
