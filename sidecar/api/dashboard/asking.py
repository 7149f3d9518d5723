"""What does the API answer? Pages show what its own resources say, so that both say the same."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from pydantic_core import from_json

from sidecar.api.endpoint import Call, Handler

_FOUND: Final = 200


@dataclass(frozen=True, slots=True)
class Source:
    """The call that a part of a page shows; whoever makes it gets the same numbers."""

    path: str
    query: tuple[tuple[str, str], ...] = ()

    @property
    def address(self) -> str:
        """Its path and query."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")

    def command(self, origin: str) -> str:
        """How a shell makes it."""
        return f'curl -H "Authorization: Bearer $KEY" {shlex.quote(origin + self.address)}'


def source(path: str, **query: str | None) -> Source:
    """A call; what is None or empty is not asked."""
    given = tuple((name.rstrip("_"), value) for name, value in query.items() if value)
    return Source(path, given)


def decision_source(decision_id: str) -> Source:
    """The call for one recorded decision."""
    return Source(f"/v1/decisions/{quote(decision_id, safe='')}")


class Answers:
    """Asks the resources of the API in this process.

    Args:
        handlers: by their paths.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    async def of(self, asked: Source) -> Any:
        """What is answered, None where there is no such thing.

        Raises:
            InvalidBody: it cannot be asked so.
            Unavailable: the store did not answer in time.
        """
        return await self._ask(asked.path, Call({}, dict(asked.query), b"", {}))

    async def decision(self, decision_id: str) -> Any:
        """A recorded decision, None where it is not known."""
        return await self._ask("/v1/decisions/{id}", Call({"id": decision_id}, {}, b"", {}))

    async def _ask(self, path: str, call: Call) -> Any:
        response = await self._handlers[path](call)
        return from_json(bytes(response.body)) if response.status_code == _FOUND else None
