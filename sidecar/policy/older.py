"""What is a field called here that an older format or another engine calls otherwise?"""

from collections.abc import Collection, Mapping

_RENAMED: Mapping[str, str] = {"plugins_unlocked": "plugins", "tokens_monthly": "tokens_per_month"}
"""Fields of `subscription_config.json` whose values are good here as they are."""
_IMPORTED = {"subscription_plans", "enforcement", "settings", "trial_plan", "trial_period_days"}
"""Its other fields; what they say stands elsewhere here."""
_SYNONYMS: Mapping[str, str] = {
    "condition": "when", "if": "when", "expression": "expr", "maximum": "max", "limit": "max",
    "period": "window", "inherits": "extends", "parent": "extends", "action": "effect",
    "blocked": "deny", "allowed": "allow", "name": "id", "meta": "metadata", "vars": "variables",
    "default_plan": "plan",
    "expires": "until", "begins": "from", "ends": "until",
}  # fmt: skip
IMPORT_HINT = "this is of the older subscription_config.json: sidecar import writes a policy of it"


def renamed(field: str, fields: Collection[str]) -> str | None:
    """What the value of an older field is called now, None where it is not that simple."""
    now = _RENAMED.get(field)
    return now if now in fields else None


def is_imported(field: str) -> bool:
    """Whether an older format has this field at a place where there is none now."""
    return field in _IMPORTED


def synonym(field: str, fields: Collection[str]) -> str | None:
    """What another engine's field is called here, where there is one of these fields."""
    here = _SYNONYMS.get(field)
    return here if here in fields else None
