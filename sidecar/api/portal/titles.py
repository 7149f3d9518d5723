"""What is a limit called, for somebody who never saw a policy?"""

from collections.abc import Mapping
from typing import Any

from sidecar.api.dashboard.words import plain, window


def title_of(limit: Mapping[str, Any]) -> str:
    """Its meter and its window in words; its id means nothing to a user."""
    meter, name = plain(limit["meter"]), window(limit["window"])
    match limit["meter"], limit["window"]:
        case "concurrency", _:
            return "Requests at the same time"
        case _, "lifetime":
            return f"{meter.capitalize()} in all"
        case _:
            return f"{meter.capitalize()} per {name}"
