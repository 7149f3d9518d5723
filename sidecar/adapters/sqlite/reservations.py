"""What is known of a reservation: what it holds where, what it was charged, how it was answered."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import orjson

from sidecar.adapters.sqlite.grants import Owner
from sidecar.adapters.sqlite.times import KEPT_MS, REQUESTS_REMEMBERED_MS
from sidecar.domain.counting import Counter
from sidecar.domain.prices import Rates
from sidecar.domain.request import MAX_INTEGER, Amounts, MeterKind
from sidecar.domain.usage import ReservationState

TOLD: Final = (MeterKind.TOKENS, MeterKind.INPUT_TOKENS, MeterKind.OUTPUT_TOKENS, MeterKind.COST)
"""The meters whose totals a reservation keeps, in this order."""
_FIND: Final = """
SELECT number, id, app, state, expires_at, tokens, fingerprint, decision, extension, request,
    limits, readings, account, forgotten_at
FROM reservation WHERE id = ?"""


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
        told: dict[str, int] = defaultdict(int)
        held: dict[str, int] = defaultdict(int)
        for entry in self.entries:
            told[entry.name] = min(told[entry.name] + entry.told, MAX_INTEGER)
            held[entry.name] = min(held[entry.name] + entry.held, MAX_INTEGER)
        for draw in self.draws:
            if draw.held:
                for name in self.names(draw):
                    held[name] = min(held[name] + draw.held, MAX_INTEGER)
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


def user_of(request: str) -> str:
    """For whom a written request was made."""
    user: str = orjson.loads(request)["subject"]["user_id"]
    return user


@dataclass(frozen=True, slots=True)
class Answer:
    """What a repeated request needs to be shown the same: the limits and what was read there."""

    limits: str
    readings: str


@dataclass
class Record:
    """A reservation as it is stored."""

    number: int
    id: str
    app: str
    state: ReservationState
    expires_at: int
    tokens: int
    fingerprint: str
    decision: str
    extension: str
    request: str
    limits: str
    readings: str
    account: Account
    forgotten_at: int

    @property
    def answer(self) -> Answer:
        """What its request was told."""
        return Answer(self.limits, self.readings)

    @cached_property
    def _stated(self) -> dict[str, Any]:
        stated: dict[str, Any] = orjson.loads(self.request)
        return stated

    @property
    def user(self) -> str:
        """For whom it was made."""
        user: str = self._stated["subject"]["user_id"]
        return user

    @property
    def owner(self) -> Owner:
        """Whose grants it draws."""
        return self.app, self.user

    @property
    def session(self) -> tuple[str, str]:
        """Its user and that user's session, empty for none."""
        return self.user, self._stated["session_id"]

    @property
    def request_id(self) -> str:
        """The id of its request, empty for none."""
        name: str = self._stated["request_id"]
        return name

    def dimensions(self, model: str) -> tuple[str, str, str, str]:
        """What its use is reported under, with the model if it is known better."""
        stated = self._stated
        return (model or stated["model"], stated["workflow"], stated["agent"], stated["plugin"])

    def is_little(self, now: int) -> bool:
        """Whether it ended so long ago that only its end is told."""
        is_over = self.state in (ReservationState.COMMITTED, ReservationState.RELEASED)
        return is_over and self.expires_at + REQUESTS_REMEMBERED_MS <= now

    def cost(self, used: Amounts) -> int:
        """What tokens cost, at the rates of the hold."""
        return self.account.rates.cost(used.tokens, used.input_tokens, used.output_tokens)


class Reservations:
    """The reservations in the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, reservation_id: str) -> Record | None:
        """One by its id."""
        row = self._connection.execute(_FIND, (reservation_id,)).fetchone()
        if row is None:
            return None
        record = Record(*row)
        record.state, record.account = ReservationState(record.state), read_account(row[12])
        return record

    def insert(
        self,
        reservation_id: str,
        app: str,
        expires_at: int,
        tokens: int,
        fingerprint: str,
        decision: str,
        request: str,
        answer: Answer,
        account: Account,
    ) -> None:
        """Add one that holds."""
        self._connection.execute(
            "INSERT INTO reservation VALUES (NULL, ?, ?, 'held', ?, ?, ?, ?, '', ?, ?, ?, ?, ?)",
            (
                reservation_id, app, expires_at, tokens, fingerprint, decision, request,
                answer.limits, answer.readings, account.write(), expires_at + KEPT_MS,
            ),
        )  # fmt: skip

    # Columns with an index are set only where they change: SQLite would not look.

    def save(self, record: Record) -> None:
        """Write what it holds and was told."""
        self._connection.execute(
            "UPDATE reservation SET account = ? WHERE number = ?",
            (record.account.write(), record.number),
        )

    def extend(self, record: Record) -> None:
        """Write that it holds more, and lives longer."""
        record.forgotten_at = record.expires_at + KEPT_MS
        self._connection.execute(
            "UPDATE reservation SET expires_at = ?, tokens = ?, extension = ?, account = ?, "
            "forgotten_at = ? WHERE number = ?",
            (
                record.expires_at, record.tokens, record.extension, record.account.write(),
                record.forgotten_at, record.number,
            ),
        )  # fmt: skip

    def end(self, record: Record, state: ReservationState, now: int) -> None:
        """Write how it ended; that is known for a while from now and from its expiry on."""
        record.state = state
        self._connection.execute(
            "UPDATE reservation SET state = ?, account = ? WHERE number = ?",
            (state.value, record.account.write(), record.number),
        )
        if now + KEPT_MS > record.forgotten_at:
            record.forgotten_at = now + KEPT_MS
            self._connection.execute(
                "UPDATE reservation SET forgotten_at = ? WHERE number = ?",
                (record.forgotten_at, record.number),
            )

    def delete(self, record: Record) -> None:
        """Forget it."""
        self._connection.execute("DELETE FROM reservation WHERE number = ?", (record.number,))

    # -- requests' ids ----------------------------------------------------------------------

    def of_request(self, app: str, digest: str, now: int) -> Record | None:
        """The one that was made for a request's id, while the id is remembered."""
        row = self._connection.execute(
            "SELECT reservation FROM request WHERE app = ? AND digest = ? AND forgotten_at > ?",
            (app, digest, now),
        ).fetchone()
        return None if row is None else self.find(row[0])

    def remember(self, app: str, digest: str, reservation_id: str, expires_at: int) -> None:
        """Let a request's id lead to its reservation."""
        self._connection.execute(
            "INSERT OR REPLACE INTO request VALUES (?, ?, ?, ?)",
            (app, digest, reservation_id, expires_at + REQUESTS_REMEMBERED_MS),
        )

    def prolong(self, app: str, digest: str, record: Record) -> None:
        """Remember a request's id as long as the reservation lives."""
        self._connection.execute(
            "UPDATE request SET forgotten_at = ? WHERE app = ? AND digest = ? AND reservation = ?",
            (record.expires_at + REQUESTS_REMEMBERED_MS, app, digest, record.id),
        )

    def disremember(self, app: str, digest: str, record: Record) -> None:
        """Let a request's id lead nowhere, if it leads to this one."""
        self._connection.execute(
            "DELETE FROM request WHERE app = ? AND digest = ? AND reservation = ?",
            (app, digest, record.id),
        )
