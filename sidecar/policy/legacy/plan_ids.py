"""Which id does a plan get whose name is none?"""

import re
import unicodedata
from collections.abc import Collection

_LONGEST = 100
"""Short of what an id may have, because limits are named after their plan."""


def plan_id(name: str, taken: Collection[str]) -> str:
    """The name itself where it is an id; else what is left of it, and a number if that is taken."""
    found = stem = name if _is_id(name) else _nearest_id(name)
    number = 1
    while found in taken:
        number += 1
        found = f"{stem}_{number}"
    return found


def _is_id(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) is not None and len(name) <= _LONGEST


def _nearest_id(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")[:_LONGEST]
    return stem if stem[:1].isalpha() else f"plan_{stem}".removesuffix("_")
