"""What does a reservation hold in which counters, and what was it told to have used?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from sidecar.domain.counting import Counter
from sidecar.domain.prices import Rates
from sidecar.domain.request import MeterKind

TOLD: Final = (MeterKind.TOKENS, MeterKind.INPUT_TOKENS, MeterKind.OUTPUT_TOKENS, MeterKind.COST)
"""The meters whose totals a reservation keeps, in this order."""


@dataclass(slots=True)
class Entry:
    """What a reservation holds in one counter, and what was charged from it there.

    Attributes:
        name, kind, a, b, meter, bound, scopes: of the counter; see `counting.Counter`.
        told: units that are known to be used, whoever paid for them.
        limit, included: as statements name them; an empty id where there are none.
        seen: when that was so.
    """

    name: str
    kind: str
    a: int
    b: int
    meter: str
    bound: int | None
    scopes: Sequence[str]
    bucket: int
    held: int
    told: int = 0
    limit: str = ""
    included: int | None = None
    seen: int = 0

    @classmethod
    def of(cls, counter: Counter, bucket: int, held: int, now: int) -> "Entry":
        """What a counter holds for a reservation."""
        return cls(
            counter.name, counter.kind, counter.a, counter.b, counter.meter.value,
            counter.bound, counter.scopes, bucket, held, 0, counter.limit, counter.included, now,
        )  # fmt: skip


@dataclass(slots=True)
class Draw:
    """Units that a reservation holds of a grant.

    Attributes:
        entries: positions of the entries that they pay in; a unit pays in all of them.
    """

    grant: str
    held: int
    entries: Sequence[int]


@dataclass(slots=True)
class Account:
    """What a reservation holds, and what it was told to have used.

    Attributes:
        charges: whether its expiry charges what it holds; then that still stands here as held.
        requests: 1 when it was counted as a request.
        told: totals of the meters of `TOLD`.
    """

    charges: bool
    rates: Rates
    requests: int = 0
    told: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    entries: list[Entry] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)

    def sums(self) -> tuple[dict[str, int], dict[str, int]]:
        """What was told and what is held, grants' part included, by the name of the counter."""
        told: dict[str, int] = {}
        held: dict[str, int] = {}
        for entry in self.entries:
            name = entry.name
            told[name] = told.get(name, 0) + entry.told
            held[name] = held.get(name, 0) + entry.held
        for draw in self.draws:
            if draw.held:
                for name in self.names(draw):
                    held[name] += draw.held
        return told, held

    def names(self, draw: Draw) -> set[str]:
        """The counters in which a grant pays."""
        return {self.entries[position].name for position in draw.entries}

    def knows(self, amounts: Mapping[str, int]) -> bool:
        """Whether totals are no more than what was told before.

        The cost is not asked: it follows from the tokens, and prices may have changed since.
        """
        told, _ = self.sums()
        tokens_known = amounts["tokens"] <= self.told[0]
        return all(
            tokens_known
            if entry.meter == MeterKind.COST
            else amounts.get(entry.meter, 0) <= told[entry.name]
            for entry in self.entries
        )

    def write(self) -> str:
        """As text."""
        return orjson.dumps(
            [
                int(self.charges),
                self.rates.input,
                self.rates.output,
                self.requests,
                self.told,
                [
                    (
                        entry.name, entry.kind, entry.a, entry.b, entry.meter, entry.bound,
                        entry.scopes, entry.bucket, entry.held, entry.told,
                        *((entry.limit, entry.included, entry.seen) if entry.limit else ()),
                    )
                    for entry in self.entries
                ],
                [(draw.grant, draw.held, draw.entries) for draw in self.draws],
            ]
        ).decode()  # fmt: skip


def read_account(text: str) -> Account:
    """The account of `Account.write`."""
    charges, rate_in, rate_out, requests, told, entries, draws = orjson.loads(text)
    return Account(
        bool(charges),
        Rates(rate_in, rate_out),
        requests,
        told,
        [Entry(*row) for row in entries],
        [Draw(*row) for row in draws],
    )
