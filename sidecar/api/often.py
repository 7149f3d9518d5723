"""Which paths are asked all the time? Those are found without a search of the table."""

from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

from sidecar.api.endpoint import Endpoint

Way = tuple[str, Endpoint]
"""A path as the table has it, and what answers there."""

_RESERVATIONS: Final = "/v1/reservations/"


class Often:
    """A few of the table's paths, of those that are posted to.

    Args:
        paths: those without a name in them.
        of_reservations: what is done to one of them, by the end of its path.
    """

    def __init__(
        self, paths: Mapping[str, Endpoint], of_reservations: Mapping[str, Endpoint]
    ) -> None:
        self._paths: dict[str, Way] = {path: (path, answers) for path, answers in paths.items()}
        self._of_reservations: dict[str, Way] = {
            end: (f"{_RESERVATIONS}{{id}}/{end}", answers)
            for end, answers in of_reservations.items()
        }

    def way(self, scope: Scope) -> Way | None:
        """Where a request goes, if it is one of these; then the scope has the names in its path."""
        if scope["method"] != "POST" or scope.get("root_path"):
            return None
        path: str = scope["path"]
        found = self._paths.get(path)
        if found is not None:
            scope["path_params"] = {}
        elif path.startswith(_RESERVATIONS):
            name, _, end = path[len(_RESERVATIONS) :].partition("/")
            found = self._of_reservations.get(end) if name else None
            scope["path_params"] = {"id": name}
        return found
