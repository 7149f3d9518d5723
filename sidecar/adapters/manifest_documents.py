"""How is the manifest of an app written down in a store?"""

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any

import orjson

from sidecar.domain.manifest import Budget, Enforcement, Manifest, Override
from sidecar.domain.modes import Refusal
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed, parse_window

_TEXTS = ("app_id", "version", "plan", "plan_name", "tier", "billing_period", "tenant_id")


def write_manifest(manifest: Manifest) -> str:
    """A manifest as JSON."""
    fields: dict[str, object] = {name: getattr(manifest, name) for name in _TEXTS}
    fields |= {
        "expires_at": manifest.expires_at,
        "synced_at": manifest.synced_at,
        "since": manifest.since,
        "budgets": [_written_budget(budget) for budget in manifest.budgets],
        "overrides": {
            name: [override.maximum, override.until]
            for name, override in manifest.overrides.items()
        },
        "features": manifest.features,
        "allowed": manifest.allowed,
        "blocked": manifest.blocked,
        "seeded": manifest.seeded,
    }
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(4096)
def read_manifest(text: str) -> Manifest:
    """The manifest of `write_manifest`; the same object for the same text."""
    written: Mapping[str, Any] = orjson.loads(text)
    return Manifest(
        **{name: written[name] for name in _TEXTS},
        expires_at=_instant(written["expires_at"]),
        synced_at=_instant(written["synced_at"]),
        since=_instant(written["since"]),
        budgets=tuple(map(_read_budget, written["budgets"])),
        overrides={
            name: Override(maximum, _instant(until))
            for name, (maximum, until) in written["overrides"].items()
        },
        features=written["features"],
        allowed=tuple(written["allowed"]),
        blocked=tuple(written["blocked"]),
        seeded=written["seeded"],
    )


def _written_budget(budget: Budget) -> Mapping[str, object]:
    return {
        "id": budget.id,
        "meter": budget.meter,
        "maximum": budget.maximum,
        "window": str(budget.window),
        "enforcement": budget.enforcement,
        "burst": budget.burst.as_integer_ratio(),
        "used": budget.used,
        "rollover": budget.rollover,
        "model": budget.model,
        "plugin": budget.plugin,
        "refusal": budget.refusal,
    }


def _read_budget(written: Mapping[str, Any]) -> Budget:
    return Budget(
        id=written["id"],
        meter=MeterKind(written["meter"]),
        maximum=written["maximum"],
        window=parse_window(written["window"]) or Fixed.LIFETIME,
        enforcement=Enforcement(written["enforcement"]),
        burst=Fraction(*written["burst"]),
        used=written["used"],
        rollover=written["rollover"],
        model=written["model"],
        plugin=written["plugin"],
        refusal=Refusal(written["refusal"]),
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
