"""Which policies do the settings name, and with what are they judged?"""

from collections.abc import Callable
from pathlib import Path

from sidecar.adapters.clock import SystemClock
from sidecar.bootstrap.prices import prices_named_by
from sidecar.policy.load import load, shipped
from sidecar.policy.reloading.contents import Origin
from sidecar.policy.reloading.kept import Found, KeptPolicies, find, followed, watched
from sidecar.policy.remedies import Urls
from sidecar.policy.snapshot import PolicySet
from sidecar.settings import Settings


def load_policies(settings: Settings) -> PolicySet:
    """The policies that the settings name, with the prices that they name.

    Raises:
        ConfigurationError: they do not load; the message has every finding.
    """
    origin = _origin(settings, _directory(settings))
    prices = prices_named_by(settings)
    return load(origin.directory, ceiling=origin.ceiling, urls=origin.urls, prices=prices)


def find_policies(settings: Settings) -> Found:
    """The policies that the settings name, judged as a server does before it answers from them.

    Raises:
        ConfigurationError: they do not load, or their tests fail; the message has every finding.
    """
    return find(_origin(settings, _directory(settings)), _shadow_origin(settings))


def watched_policies(settings: Settings, found: Found) -> KeptPolicies:
    """Policies that this process reads for itself."""
    return watched(found, SystemClock().now, settings.sidecar_policies_poll_s)


def followed_policies(settings: Settings, folder: Path, ask: Callable[[], None]) -> KeptPolicies:
    """Policies that another process reads and publishes in a folder; see `followed`."""
    origin, shadow_origin = _origin(settings, _directory(settings)), _shadow_origin(settings)
    return followed(folder, origin, shadow_origin, ask)


def urls_of(settings: Settings) -> Urls:
    """Where users are sent."""
    return Urls(settings.sidecar_upgrade_url, settings.sidecar_top_up_url)


def _directory(settings: Settings) -> Path:
    return settings.sidecar_policies or shipped("self-hosted")


def _origin(settings: Settings, directory: Path) -> Origin:
    return Origin(
        directory,
        settings.sidecar_prices,
        settings.ceiling,
        urls_of(settings),
        settings.sidecar_policy_tests_s,
    )


def _shadow_origin(settings: Settings) -> Origin | None:
    directory = settings.sidecar_shadow_policies
    return None if directory is None else _origin(settings, directory)
