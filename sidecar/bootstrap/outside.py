"""Whom does the sidecar ask and tell of its own accord, outside of the house?"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.control_plane.deliveries import EventDeliveries
from sidecar.adapters.control_plane.receiver import Receiver
from sidecar.adapters.payments.gateway import GatewayPayments
from sidecar.adapters.payments.mock import MockPayments
from sidecar.adapters.pulled.source import BillingSide
from sidecar.adapters.pulled.subscriptions import PulledSubscriptions
from sidecar.adapters.pulled.wallet_source import WalletSide
from sidecar.adapters.pulled.wallets import PulledWallets
from sidecar.adapters.web import Web
from sidecar.adapters.webhooks.delivery import Deliveries
from sidecar.adapters.webhooks.noticing import NoticedDecisions
from sidecar.adapters.webhooks.rejections import Rejections
from sidecar.adapters.webhooks.signing import Signer
from sidecar.bootstrap.policies import urls_of
from sidecar.bootstrap.stores import Store
from sidecar.domain.policies import PolicyReport
from sidecar.ports import Notices, Payments, Rules, Subscriptions, Wallets
from sidecar.settings import Settings


def payments_of(settings: Settings, web: Web) -> Payments:
    """Who takes the money: the gateway that is named, else nobody."""
    if settings.mozaiks_gateway_url is None:
        return MockPayments(urls_of(settings).upgrade_to)
    return GatewayPayments(web, settings.mozaiks_gateway_url, _app_key(settings))


def subscriptions_of(settings: Settings, pushed: Subscriptions, web: Web) -> Subscriptions:
    """What was pushed; where an address is set, what is told of whoever has nothing pushed."""
    if settings.subscription_api_url is None:
        return pushed
    source = BillingSide(web, settings.subscription_api_url, _app_key(settings))
    return PulledSubscriptions(pushed, source, SystemClock())


def wallets_of(
    settings: Settings, pushed: Wallets, web: Web, rules: Callable[[], Rules]
) -> Wallets:
    """What was pushed; where an address is set, what is told of whoever has nothing pushed."""
    if settings.wallet_api_url is None:
        return pushed

    def currency() -> str | None:
        prices = rules().prices
        return None if prices is None else prices.currency

    source = WalletSide(web, settings.wallet_api_url, _app_key(settings), currency)
    return PulledWallets(pushed, source, SystemClock())


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What tells the outside of its own accord."""

    noticed: NoticedDecisions
    rejections: Rejections
    deliveries: Deliveries

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Look, hand over and send as long as this is open."""
        async with self.deliveries.opened(), self.noticed.opened(), self.rejections.opened():
            yield


def webhooks_of(
    settings: Settings, notices: Notices, web: Web, report: Callable[[], PolicyReport]
) -> Webhooks | None:
    """What is told to the receiver that the settings name, None where they name none.

    Raises:
        ConfigurationError: there is no secret to sign with.
    """
    url = settings.sidecar_webhook_url
    if url is None:
        return None
    signer, clock = Signer(settings.sidecar_webhook_secret.get_secret_value()), SystemClock()
    deliveries = Deliveries(notices, web, signer, url, clock)
    noticed = NoticedDecisions(notices, clock, lambda: not deliveries.is_disabled)
    return Webhooks(noticed, Rejections(report, noticed.tell, clock), deliveries)


def event_deliveries_of(settings: Settings, store: Store, web: Web) -> EventDeliveries | None:
    """What posts accepted events to the control plane, None where that is not enabled."""
    url = settings.control_plane_usage_ingest_url
    if not settings.control_plane_usage_ingest_enabled or url is None:
        return None
    secret, clock = settings.control_plane_usage_ingest_key, SystemClock()
    key = "" if secret is None else secret.get_secret_value()
    receiver = Receiver(web, url, settings.control_plane_usage_ingest_format, key, clock)
    return EventDeliveries(store.outbox, receiver, store.arrivals, clock)


def _app_key(settings: Settings) -> str:
    key = settings.mozaiks_app_key
    return "" if key is None else key.get_secret_value()
