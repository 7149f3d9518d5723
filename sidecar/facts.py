"""What did others say of a subject: of its subscription, its app, its balance?"""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import TypeVar

from sidecar.domain.manifest import Manifest
from sidecar.domain.request import CheckRequest, Subject
from sidecar.domain.subscription import Subscription, never_synced
from sidecar.domain.told import AS_IT_IS, WhatIf
from sidecar.domain.wallet import Wallet
from sidecar.errors import Unavailable
from sidecar.ports import Known, Manifests, Rules, Standby, Subscriptions, Wallets

T = TypeVar("T")


class Facts:
    """Asks those who know, at once.

    Args:
        standby: remembers what they said, for those whose plan takes that while they are away.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        manifests: Manifests,
        wallets: Wallets,
        standby: Standby | None = None,
    ) -> None:
        self._subscriptions = subscriptions
        self._manifests = manifests
        self._wallets = wallets
        self.standby = standby

    async def of(
        self, rules: Rules, subject: Subject, since: float, what_if: WhatIf = AS_IT_IS
    ) -> tuple[tuple[Subscription, Manifest | None] | None, Wallet | None]:
        """What others said of a subject, and of its balance, each None where it cannot be had."""
        if not rules.has_wallets and what_if is AS_IT_IS:
            # Nearly always: nobody has to wait for what is known.
            subscription = self._subscriptions.find(subject, since=since)
            manifest = self._manifests.find(subject.app_id, since=since)
            if isinstance(subscription, Known) and isinstance(manifest, Known):
                return (subscription.value, manifest.value), None
            return await unless_unavailable(_both(subscription, manifest)), None
        asked = unless_unavailable(self.told(subject, since, what_if.subscription))
        if not rules.has_wallets:
            return await asked, None
        if what_if.counters.balance is not None:
            return await asked, what_if.counters.wallet(subject)
        return await asyncio.gather(asked, self.wallet(rules, subject, since))

    async def wallet(self, rules: Rules, subject: Subject, since: float) -> Wallet | None:
        """The balance of a user, None where it could not be had or nobody needs it."""
        if not rules.has_wallets:
            return None
        wallet = await unless_unavailable(self._wallets.find(subject, since=since))
        if wallet is None or rules.prices is None:
            return None
        # Prices may be in another currency since it was told.
        is_other = wallet.balance is not None and wallet.currency != rules.prices.currency
        return None if is_other else wallet

    async def told(
        self, subject: Subject, since: float, assumed: Subscription | None = None
    ) -> tuple[Subscription, Manifest | None]:
        """What others said of the user and of the app; both are asked for at once.

        Args:
            assumed: a subscription in the place of the user's own.
        """
        manifest = self._manifests.find(subject.app_id, since=since)
        if assumed is not None:
            return assumed, await manifest
        return await _both(self._subscriptions.find(subject, since=since), manifest)

    def remembered(
        self, rules: Rules, request: CheckRequest, now: datetime
    ) -> tuple[Subscription | None, Manifest | None]:
        """What others last said, for whose plan that is good enough."""
        if self.standby is None:
            return None, None
        facts = self.standby.facts(request.subject) or (never_synced(request.subject), None)
        is_local = rules.resolve(facts[0], request, now, facts[1]).is_local
        return facts if is_local else (None, None)


async def _both(
    subscription: Awaitable[Subscription], manifest: Awaitable[Manifest | None]
) -> tuple[Subscription, Manifest | None]:
    return await subscription, await manifest


async def unless_unavailable(fact: Awaitable[T]) -> T | None:
    """A fact, or None if it could not be had in time."""
    try:
        return await fact
    except Unavailable:
        return None
