"""Which balance has somebody else told of a user, and what does a plan make of it?

The sidecar reads a balance and holds spend against it. It never changes one: what was spent since
it was told is what the user's counter has grown by since.
"""

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from sidecar.domain.limits import Dimension, Limit
from sidecar.domain.modes import FailureMode, Mode
from sidecar.domain.request import CheckRequest, MeterKind, Subject
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.value import value
from sidecar.domain.windows import Fixed

WALLET: Final = "wallet"
"""The id of the limit that a balance is."""
_KEPT: Final = 4_096
_NOBODY_TOLD: Final = "No balance is known of this wallet."


@value
class Wallet:
    """A balance that somebody else keeps, as it was told last.

    Attributes:
        balance: micro-units of the currency, None where none was ever told.
        as_of: when it was that; what was counted until then is part of it.
        base: what the user's counter held then.
        name: whoever keeps it calls it so, empty for nothing.
        is_pulled: whether it was asked for; then it is asked for again.
    """

    app_id: str
    user_id: str
    balance: int | None = None
    currency: str = ""
    as_of: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    base: int = 0
    name: str = ""
    is_pulled: bool = False


def no_wallet(subject: Subject) -> Wallet:
    """Of a user whose balance nobody ever told."""
    return Wallet(subject.app_id, subject.user_id)


@value
class WalletTerms:
    """What a plan says of its users' wallets.

    Attributes:
        require: whether nothing runs that the balance does not pay; else it is said in a warning.
        low: the balance is low below it, None for never.
    """

    require: bool = True
    low: int | None = None

    def limit(self, wallet: Wallet | None, mode: Mode, failure_mode: FailureMode) -> Limit:
        """The limit that a balance is: it has no bound where there is no balance to hold against.

        Args:
            wallet: None for one that could not be had.
            mode: of the plan.
        """
        return _limit(self, wallet, mode, failure_mode)


@lru_cache(_KEPT)
def _limit(
    terms: WalletTerms, wallet: Wallet | None, mode: Mode, failure_mode: FailureMode
) -> Limit:
    # The same one for each check on the same balance: what is written of it is kept by identity.
    balance = None if wallet is None else wallet.balance
    maximum, message = balance, ""
    if wallet is not None and balance is None and terms.require:
        maximum, message = 0, _NOBODY_TOLD
    warn_from = None
    if balance is not None and terms.low is not None:
        warn_from = max(0, balance - terms.low + 1)
    return Limit(
        id=WALLET,
        meter=MeterKind.COST,
        maximum=maximum,
        window=Fixed.LIFETIME,
        per=(Dimension.APP, Dimension.USER),
        mode=mode if terms.require else mode.narrowed(Mode.ADVISORY),
        failure_mode=failure_mode,
        warn_from=warn_from,
        message=message,
        base=0 if wallet is None else wallet.base,
    )


def wallet_counter(wallet: Wallet) -> str:
    """The key of the counter that a balance is held against, unique within its app."""
    limit = WalletTerms().limit(None, Mode.OFF, FailureMode.OPEN)
    return limit.counter(CheckRequest(Subject(wallet.app_id, wallet.user_id)))


def merge(stored: Wallet | None, told: Wallet) -> tuple[SyncOutcome, Wallet]:
    """What is known after a balance was told, in whatever order balances arrive.

    Args:
        told: with what the counter held at its time, as far as that is known.
    """
    if stored is None or stored.balance is None:
        return SyncOutcome.SYNCED, told
    if told.as_of < stored.as_of or (told.is_pulled and not stored.is_pulled):
        return SyncOutcome.STALE, stored
    # Of what was long ago not all is remembered, and a counter never shrinks.
    told = replace(told, base=max(told.base, stored.base))
    if told == replace(stored, base=told.base):
        return SyncOutcome.DUPLICATE, stored
    return SyncOutcome.SYNCED, told
