"""Which values are never written down? Those whose name says that they are nobody's business."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

MARK: Final = "[hidden]"
_SHORTEST: Final = 4
"""Characters of a hidden value that is looked for in messages: a shorter one is everywhere."""
_NAMES_KEPT: Final = 4_096


class Hidden:
    """Hides attributes by their names.

    Args:
        names: globs, in any case: `*token`; `*` hides every value and leaves the names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        patterns = tuple(name.lower() for name in names)

        @lru_cache(_NAMES_KEPT)
        def is_hidden(name: str) -> bool:
            return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)

        self._is_hidden = is_hidden

    def veil(self, attributes: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
        """The attributes with marks in the place of what is hidden, and what is behind them."""
        secrets: list[str] = []
        return self._veiled(attributes, secrets), secrets

    def _veiled(self, attributes: Mapping[str, object], secrets: list[str]) -> dict[str, object]:
        shown: dict[str, object] = {}
        for name, value in attributes.items():
            if self._is_hidden(name):
                secrets.extend(_texts(value))
                shown[name] = MARK
            else:
                shown[name] = self._seen(value, secrets)
        return shown

    def _seen(self, value: object, secrets: list[str]) -> object:
        match value:
            case Mapping():
                return self._veiled(value, secrets)
            case list() | tuple():
                return [self._seen(item, secrets) for item in value]
            case _:
                return value


def without(secrets: Iterable[str], said: object) -> object:
    """What policies said, with no hidden value in any of its texts: a message may quote one."""
    found = sorted((text for text in secrets if len(text) >= _SHORTEST), key=len, reverse=True)
    return _without(found, said) if found else said


def _without(secrets: list[str], said: object) -> object:
    match said:
        case str():
            for secret in secrets:
                said = said.replace(secret, MARK)
            return said
        case Mapping():
            return {name: _without(secrets, value) for name, value in said.items()}
        case list() | tuple():
            return [_without(secrets, item) for item in said]
        case int() | float() if str(said) in secrets:
            return MARK
        case _:
            return said


def _texts(value: object) -> Iterable[str]:
    match value:
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case list() | tuple():
            for item in value:
                yield from _texts(item)
        case None | bool():
            yield ""
        case _:
            yield str(value)
