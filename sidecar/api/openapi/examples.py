"""Which requests does the document show, and what was answered to them?

They stand in `examples.json`, in the order in which a test asks them of a server that is empty.
An id that an answer shows stands for whatever id is given in its place, in later requests too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("examples.json")


@dataclass(frozen=True, slots=True)
class Example:
    """One request and its answer.

    Attributes:
        name: without spaces.
        body: to be sent as JSON, under a media type; None for none.
        path, query: values of the parameters.
        personal: whether it brings the user's token that was given out last.
    """

    method: str
    route: str
    name: str
    summary: str
    status: int
    answer: Any = None
    body: Any = None
    media_type: str = "application/json"
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    personal: bool = False

    def as_sent(self) -> dict[str, Any]:
        """The request, as the document shows it."""
        return {"summary": self.summary, "value": self.body}

    def as_answered(self) -> dict[str, Any]:
        """The answer, as the document shows it."""
        return {"summary": self.summary, "value": self.answer}


@cache
def examples() -> Sequence[Example]:
    """All of them, in their order."""
    return tuple(Example(**each) for each in json.loads(FILE.read_text()))


def examples_of(method: str, route: str) -> Sequence[Example]:
    """Those of one operation."""
    return [each for each in examples() if (each.method, each.route) == (method, route)]
