"""Pushed balances first; whoever has none is asked for, and what is told is stored for all."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from sidecar.adapters.pulled.answers import Answers, Memory
from sidecar.domain.request import Subject
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.wallet import Wallet, no_wallet
from sidecar.errors import Unavailable
from sidecar.ports import Clock, Wallets

FRESH: Final = Memory(fresh_s=10.0)
"""What was filled up is seen after so long; what is spent is counted meanwhile."""


class Source(Protocol):
    """Who is asked."""

    async def ask(self, subject: Subject) -> Wallet | None:
        """The balance as it is told now, None where there is no wallet.

        Raises:
            Unavailable: no balance could be had.
        """
        ...


class PulledWallets:
    """Answers with what was pushed, else with what is told by whoever keeps the balance."""

    def __init__(
        self,
        stored: Wallets,
        source: Source,
        clock: Clock,
        memory: Memory = FRESH,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stored = stored
        self._source = source
        self._clock = clock
        self._longest = timedelta(seconds=memory.stale_s)
        self._answers = Answers(self._ask, "balance_not_told", memory, monotonic)

    async def find(self, subject: Subject, *, since: float) -> Wallet:
        """The balance; an old one rather than none while nobody tells it.

        Raises:
            Unavailable: nothing was pushed, and nothing is told in time.
        """
        stored = await self._stored.find(subject, since=since)
        if stored.balance is not None and not stored.is_pulled:
            return stored
        told = await self._answers.find(subject)
        if told is not None and (told.balance is None or told.as_of >= stored.as_of):
            return told
        # Another process was told of it, or this one before it was begun anew.
        if stored.balance is not None and self._clock.now() - stored.as_of < self._longest:
            return stored
        raise Unavailable("nobody has told the balance of this user")

    async def sync(self, told: Wallet, *, since: float) -> tuple[SyncOutcome, Wallet]:
        """Store a push; from then on nobody is asked."""
        return await self._stored.sync(told, since=since)

    async def _ask(self, subject: Subject, known: Wallet | None) -> Wallet:
        # What is counted while the answer is on its way comes after it.
        asked_at = self._clock.now()
        told = await self._source.ask(subject)
        if told is None:
            return no_wallet(subject)
        told = replace(told, as_of=asked_at, is_pulled=True)
        return (await self._stored.sync(told, since=self._clock.monotonic()))[1]
