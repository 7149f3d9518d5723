"""Which units were granted to a user, and what pays for what?"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from sidecar.adapters.sqlite.remembered import Remembered
from sidecar.adapters.sqlite.times import NEVER, REPORTED_MS
from sidecar.adapters.sqlite.turn import Turn
from sidecar.domain.grants import MOST_GRANTS, Grant, GrantBalance, GrantOutcome
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import from_ms, to_ms
from sidecar.errors import GrantConflict

_LEFT: Final = """
SELECT id, scope, amount - used - held, effective_at, expires_at FROM grant
WHERE app = ? AND user = ? AND NOT revoked AND amount > used + held
ORDER BY expires_at, effective_at, id"""
_BALANCES: Final = """
SELECT id, scope, amount, effective_at, expires_at, reason, used, held, revoked
FROM grant WHERE app = ? AND user = ?"""


@dataclass(slots=True)
class Purse:
    """One grant of which something is left.

    Attributes:
        left: units that nobody used or holds.
    """

    id: str
    scope: str
    left: int
    effective_at: int
    expires_at: int


Owner = tuple[str, str]
"""Whose grants they are: an app and its user."""
_REMEMBERED: Final = 4_096
"""Users whose grants are known; most have none."""


class Grants:
    """The grants in the file, at the instant of the present turn."""

    def __init__(self, connection: sqlite3.Connection, turn: Turn) -> None:
        self._connection = connection
        self._turn = turn
        self._purses: Remembered[Owner, list[Purse]] = Remembered(_REMEMBERED)

    # -- drawing ----------------------------------------------------------------------------

    def drawable(self, owner: Owner) -> list[Purse]:
        """What can be drawn now, in the order in which it is."""
        purses, now = self._purses.known(owner), self._turn.now
        if purses is None:
            rows = self._connection.execute(_LEFT, owner)
            purses = [Purse(*row) for row in rows]
            self._purses[owner] = purses
            self._purses.tidy()
        if not purses:
            return purses
        return [it for it in purses if it.left > 0 and it.effective_at <= now < it.expires_at]

    def hold(self, owner: Owner, purse: Purse, units: int) -> None:
        """Hold units that are left."""
        purse.left -= units
        self._add(owner, purse.id, 0, units)

    def use(self, owner: Owner, purse: Purse, units: int) -> None:
        """Pay with units that are left."""
        purse.left -= units
        self._add(owner, purse.id, units, 0)

    def use_held(self, owner: Owner, grant: str, units: int) -> None:
        """Pay with units that are held."""
        self._add(owner, grant, units, -units)

    def give_back(self, owner: Owner, grant: str, units: int) -> None:
        """Let go of units that are held; whether they can be drawn again is the grant's matter."""
        self._add(owner, grant, 0, -units)
        self._purses.drop(owner)

    def take_back(self, owner: Owner, grant: str, units: int) -> None:
        """Undo use."""
        self._add(owner, grant, -units, 0)
        self._purses.drop(owner)

    def _add(self, owner: Owner, grant: str, used: int, held: int) -> None:
        self._connection.execute(
            "UPDATE grant SET used = MAX(0, used + ?), held = MAX(0, held + ?), changed_at = ? "
            "WHERE app = ? AND user = ? AND id = ?",
            (used, held, self._turn.now, *owner, grant),
        )

    def forget(self) -> None:
        """Remember nothing."""
        self._purses.clear()

    # -- pushing ----------------------------------------------------------------------------

    def all(self, owner: Owner) -> tuple[GrantBalance, ...]:
        """Every grant that is known, in the order in which they are drawn."""
        rows = self._connection.execute(f"{_BALANCES} ORDER BY expires_at, effective_at, id", owner)
        return tuple(_balance(owner, *row) for row in rows)

    def push(self, grant: Grant) -> tuple[GrantOutcome, GrantBalance]:
        """Add a grant, or revoke what is left of it.

        Raises:
            GrantConflict: the id came before with other content, or the user has too many.
        """
        owner = grant.app_id, grant.user_id
        stored = self._find(owner, grant.id)
        outcome = GrantOutcome.DUPLICATE
        if stored is None:
            if grant.amount and self._standing(owner) >= MOST_GRANTS:
                raise GrantConflict(
                    f"user {grant.user_id!r} has {MOST_GRANTS} grants already that are not over"
                )
            outcome = GrantOutcome.SYNCED if grant.amount else GrantOutcome.REVOKED
            self._insert(owner, grant)
        elif stored.revoked:
            pass
        elif grant.amount == 0:
            outcome = GrantOutcome.REVOKED
            self._connection.execute(
                "UPDATE grant SET revoked = 1, changed_at = ? "
                "WHERE app = ? AND user = ? AND id = ?",
                (self._turn.now, *owner, grant.id),
            )
        elif _content(stored.grant) != _content(grant):
            raise GrantConflict(
                f"grant {grant.id!r} came before with other content; "
                "revoke it (amount 0) and push another id"
            )
        if outcome is not GrantOutcome.DUPLICATE:
            self._purses.drop(owner)
            self._forget(owner, grant.id)
        balance = self._find(owner, grant.id)
        assert balance is not None  # it was found or inserted above
        return outcome, balance

    def _insert(self, owner: Owner, grant: Grant) -> None:
        self._connection.execute(
            "INSERT INTO grant VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?)",
            (
                *owner, grant.id, grant.scope, grant.amount,
                to_ms(grant.effective_at), _expires_ms(grant), grant.amount == 0, self._turn.now,
                grant.reason,
            ),
        )  # fmt: skip

    def _find(self, owner: Owner, grant: str) -> GrantBalance | None:
        row = self._connection.execute(f"{_BALANCES} AND id = ?", (*owner, grant)).fetchone()
        return None if row is None else _balance(owner, *row)

    def _standing(self, owner: Owner) -> int:
        """How many are not over."""
        (count,) = self._connection.execute(
            "SELECT COUNT(*) FROM grant WHERE app = ? AND user = ? "
            "AND (held > 0 OR NOT revoked AND amount > used AND expires_at > ?)",
            (*owner, self._turn.now),
        ).fetchone()
        return int(count)

    def _forget(self, owner: Owner, but: str) -> None:
        """Delete what has long been over."""
        self._connection.execute(
            "DELETE FROM grant WHERE app = ? AND user = ? AND id <> ? AND held = 0 "
            "AND (revoked OR amount <= used OR expires_at <= ?) "
            "AND IIF(expires_at <= ?, expires_at, changed_at) <= ?",
            (*owner, but, self._turn.now, self._turn.now, self._turn.now - REPORTED_MS),
        )


def _balance(
    owner: Owner,
    grant: str,
    scope: str,
    amount: int,
    effective_at: int,
    expires_at: int,
    reason: str,
    used: int,
    held: int,
    revoked: int,
) -> GrantBalance:
    is_named = scope.startswith("=")
    app, user = owner
    stored = Grant(
        id=grant,
        app_id=app,
        user_id=user,
        limit=scope[1:] if is_named else "",
        meter=None if is_named else MeterKind(scope),
        amount=amount,
        effective_at=from_ms(effective_at),
        expires_at=None if expires_at == NEVER else from_ms(expires_at),
        reason=reason,
    )
    return GrantBalance(stored, used, held, bool(revoked))


def _content(grant: Grant) -> tuple[str, int, int]:
    return grant.scope, grant.amount, _expires_ms(grant)


def _expires_ms(grant: Grant) -> int:
    return NEVER if grant.expires_at is None else to_ms(grant.expires_at)
