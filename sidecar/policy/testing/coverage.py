"""What of the policies did the tests show at work, and what did they never show?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.policy.testing.spots import Key, Kind, Spot

_TITLES = {
    Kind.CONDITION: "conditions seen both true and false",
    Kind.PART: "parts of expressions seen both true and false",
    Kind.RULE: "rules without a condition seen to match and not to",
    Kind.LIMIT: "limits seen kept and exceeded",
    Kind.OVERRIDE: "overrides seen applied",
    Kind.PLUGINS: "plans seen to allow and to refuse a plugin",
}


@dataclass(frozen=True, slots=True)
class Share:
    """How many of one kind were seen in all their ways."""

    kind: Kind
    covered: int
    total: int

    @property
    def title(self) -> str:
        """What is counted, in words."""
        return _TITLES[self.kind]

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 is all; of nothing it is all too."""
        return 100 * self.covered // self.total if self.total else 100


@dataclass(frozen=True, slots=True)
class Gap:
    """A spot with the ways in which it was never seen."""

    spot: Spot
    unseen: tuple[str, ...]

    @property
    def is_of_a_silent_condition(self) -> bool:
        """Whether it is a condition that was never evaluated."""
        return self.spot.kind is Kind.CONDITION and self.unseen == self.spot.ways

    def __str__(self) -> str:
        spot = self.spot
        where = f"{spot.file}:{spot.place.line}:{spot.place.column}"
        words = " nor ".join(self.unseen)
        text = " ".join(spot.text.split())
        shown = text if len(text) <= 80 else text[:77] + "…"
        whose = f" in {spot.name}" if spot.name != spot.text else ""
        return f"{where}: never {words}: {shown}{whose}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Everything that can be seen, and what was.

    Attributes:
        spots: in the order of their files.
        seen: of each, the ways in which it was seen.
    """

    spots: Sequence[Spot] = ()
    seen: Mapping[Key, set[str]] = field(default_factory=dict)

    @property
    def gaps(self) -> Sequence[Gap]:
        """What was not seen in all its ways, by place; of what was never evaluated, no parts."""
        gaps = [Gap(spot, unseen) for spot in self.spots if (unseen := self._unseen(spot))]
        silent = {gap.spot.key[:2] for gap in gaps if gap.is_of_a_silent_condition}
        told = [
            gap for gap in gaps if gap.spot.kind is not Kind.PART or gap.spot.key[:2] not in silent
        ]
        return sorted(
            told, key=lambda gap: (gap.spot.file, gap.spot.place.line, gap.spot.place.column)
        )

    @property
    def shares(self) -> Sequence[Share]:
        """The shares of all kinds that there are any of."""
        return [share for share in map(self._share, Kind) if share.total]

    @property
    def is_full(self) -> bool:
        """Whether there is no gap."""
        return not self.gaps

    def _unseen(self, spot: Spot) -> tuple[str, ...]:
        seen = self.seen.get(spot.key, ())
        return tuple(way for way in spot.ways if way not in seen)

    def _share(self, kind: Kind) -> Share:
        spots = [spot for spot in self.spots if spot.kind is kind]
        return Share(kind, sum(not self._unseen(spot) for spot in spots), len(spots))


def coverage_of(spots: Iterable[Spot], seen: Iterable[tuple[Key, str]]) -> Coverage:
    """What was seen of these spots."""
    ways: dict[Key, set[str]] = {}
    for key, way in seen:
        ways.setdefault(key, set()).add(way)
    return Coverage(tuple(spots), ways)
