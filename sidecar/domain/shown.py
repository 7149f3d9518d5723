"""How are a reading and a reason written for whoever is outside?"""

from collections.abc import Iterable

from sidecar.domain.decision import Reason
from sidecar.domain.limits import Reading


def limits_shown(readings: Iterable[Reading]) -> list[dict[str, object]]:
    """Limits with what is used and left of them."""
    return [
        {
            "id": reading.limit.id,
            "meter": reading.limit.meter,
            "window": str(reading.limit.window),
            "per": reading.limit.per,
            "limit": reading.limit.maximum,
            "granted": reading.granted,
            "used": reading.used,
            "reserved": reading.reserved,
            "requested": reading.requested,
            "remaining": reading.remaining,
            "resets_at": reading.resets_at,
        }
        for reading in readings
    ]


def reasons_shown(reasons: Iterable[Reason]) -> list[dict[str, object]]:
    """Reasons with what the policy says and how strictly it is taken."""
    return [
        {
            "code": reason.code,
            "id": reason.id,
            "effect": reason.effect,
            "mode": reason.mode,
            "message": reason.message,
        }
        for reason in reasons
    ]
