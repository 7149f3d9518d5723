"""How is a value written in the language, so that a person can read it and type it again?"""

from __future__ import annotations

import json
import math
from typing import Any

from sidecar.cel.settle import settled
from sidecar.cel.times import Duration, Timestamp
from sidecar.cel.values import CelError, CelType, Opt, Uint

SHOWN = 256
"""Characters of a value that are shown unless one asks for more."""


def shown(value: object, most: int = SHOWN) -> str:
    """A value as a literal or as the call that makes it, an error as its message; cut where it is long."""
    text = value.message if isinstance(value, CelError) else _literal(value, most)
    return text if len(text) <= most else text[: most - 1] + "…"


def _literal(value: Any, most: int) -> str:
    value = settled(value)
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Uint() | int():
            return repr(value)
        case float():
            return _double(value)
        case str():
            # what is cut off later need not be escaped first
            return json.dumps(value[: most + 1], ensure_ascii=False)
        case bytes():
            return f'b"{"".join(map(_octet, value[: most + 1]))}"'
        case Timestamp():
            return f'timestamp("{value}")'
        case Duration():
            return f'duration("{value}")'
        case CelType():
            return value.name
        case Opt():
            return (
                f"optional.of({_literal(value.held[0], most)})" if value.held else "optional.none()"
            )
        case list():
            return f"[{', '.join(_literal(each, most) for each in value[:most])}]"
        case dict():
            entries = list(value.items())[:most]
            return (
                "{"
                + ", ".join(f"{_literal(k, most)}: {_literal(v, most)}" for k, v in entries)
                + "}"
            )
    return str(value)


def _double(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return f'double("{value}")'


def _octet(value: int) -> str:
    character = chr(value)
    return character if " " <= character <= "~" and character not in '"\\' else f"\\x{value:02x}"
