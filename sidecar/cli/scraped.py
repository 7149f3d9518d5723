"""What do two looks at `/metrics` tell of the time between them?"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SAMPLE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """What was counted at an instant.

    Attributes:
        at_s: by a clock that never goes back.
        samples: by name, then by labels.
    """

    at_s: float
    samples: Mapping[str, Mapping[Labels, float]]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name that have these labels."""
        asked = frozenset(labels.items())
        return sum(value for has, value in self.samples.get(name, {}).items() if asked <= has)

    def by(self, name: str, label: str) -> Mapping[str, float]:
        """The sums for each value of a label."""
        sums: dict[str, float] = defaultdict(float)
        for has, value in self.samples.get(name, {}).items():
            sums[dict(has).get(label, "")] += value
        return sums


def read_scrape(text: str, at_s: float) -> Scrape:
    """What `/metrics` told; lines that are no samples are passed over."""
    samples: dict[str, dict[Labels, float]] = defaultdict(dict)
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found is not None:
            labels = frozenset(
                (name, _ESCAPED.sub(_letter, value))
                for name, value in _LABEL.findall(found[2] or "")
            )
            samples[found[1]][labels] = float(found[3])
    return Scrape(at_s, samples)


@dataclass(frozen=True, slots=True)
class Between:
    """Two scrapes of one server."""

    before: Scrape
    after: Scrape

    @property
    def lasted_s(self) -> float:
        """How far they are apart."""
        return self.after.at_s - self.before.at_s

    def rate(self, name: str, **labels: str) -> float:
        """How much a counter grew in a second."""
        grown = _grown(self.before.total(name, **labels), self.after.total(name, **labels))
        return grown / self.lasted_s if self.lasted_s > 0 else 0.0

    def grown_by(self, name: str, label: str) -> Mapping[str, float]:
        """How much a counter grew, for each value of a label."""
        before = self.before.by(name, label)
        now = self.after.by(name, label)
        return {value: _grown(before.get(value, 0.0), counted) for value, counted in now.items()}

    def quantile(self, name: str, share: float) -> float | None:
        """Below which time so many of the observations stayed, as Prometheus has it; None of none.

        Within a bucket they are taken to be spread evenly.
        """
        grown = self.grown_by(f"{name}_bucket", "le")
        buckets = sorted((math.inf if le == "+Inf" else float(le), n) for le, n in grown.items())
        if not buckets or not buckets[-1][1]:
            return None
        rank = share * buckets[-1][1]
        low = beneath = 0.0
        for bound, count in buckets:
            if count >= rank and count > beneath:
                within = (rank - beneath) / (count - beneath)
                return low if math.isinf(bound) else low + (bound - low) * within
            low, beneath = bound, count
        return low


def _grown(before: float, after: float) -> float:
    """A counter that is less than before began anew."""
    return after - before if after >= before else after


def _letter(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]
