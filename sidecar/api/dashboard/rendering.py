"""From values to a page. Templates are compiled with the first page that somebody asks for.

A process that nobody looks at pays nothing for them, neither time at its start nor memory.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sidecar import __version__
from sidecar.api.dashboard import words
from sidecar.api.dashboard.files import address_of

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent / "templates"


class Pages:
    """Renders templates; what is put into them is escaped.

    Args:
        folder: where they are.
        filters: of these templates, beside those for all.
    """

    def __init__(
        self,
        folder: Path = _TEMPLATES,
        filters: Mapping[str, Callable[..., object]] = MappingProxyType({}),
    ) -> None:
        self._folder = folder
        self._filters = filters
        self._environment: Environment | None = None
        self._lock = asyncio.Lock()

    async def page(self, template: str, values: Mapping[str, object]) -> bytes:
        """A page as it is sent."""
        async with self._lock:
            if self._environment is None:
                # In a thread: requests go on meanwhile.
                self._environment = await asyncio.to_thread(_compiled, self._folder, self._filters)
        return self._environment.get_template(template).render(values).encode()


def _compiled(folder: Path, filters: Mapping[str, Callable[..., object]]) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # see above

    from sidecar.api.dashboard import cells

    found = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in (
        "number", "cost", "cost_in_line", "units", "percent", "instant", "clock_time", "away",
        "window", "per", "plain", "shown_name",
    ):  # fmt: skip
        found.filters[name] = getattr(words, name)
    found.filters.update(filters)
    found.globals |= {"rows": cells.rows, "when": cells.when, "state": cells.state}
    found.globals["file"] = address_of
    found.globals["version"] = __version__
    for template in folder.glob("*.html"):
        found.get_template(template.name)
    return found
