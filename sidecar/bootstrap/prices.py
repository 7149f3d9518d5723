"""Which prices do the settings name? Read without what a server needs, for who only looks."""

from sidecar.policy.price_file import load_prices
from sidecar.policy.prices import PriceList
from sidecar.settings import Settings


def prices_named_by(settings: Settings) -> PriceList | None:
    """The prices that the settings name, None if they name none.

    Raises:
        ConfigurationError: they do not load; the message has every finding.
    """
    return None if settings.sidecar_prices is None else load_prices(settings.sidecar_prices)
