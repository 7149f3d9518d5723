"""Paths that are found without a search: they lead where the table does."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Match, Route
from starlette.types import Scope

from sidecar.api.endpoint import Either
from sidecar.api.observed import Observed
from sidecar.bootstrap.server import create_app
from sidecar.settings import Settings
from tests.processes import ROOT


@pytest.fixture(scope="module")
def app() -> Starlette:
    """An application that nobody has asked yet."""
    given = {"sidecar_policies": ROOT / "policies/quickstart", "sidecar_store": "sqlite://"}
    return create_app(Settings.model_validate(given))


def found_often(app: Starlette, scope: Scope) -> tuple[str, object, object] | None:
    """Where a request goes before the table is searched."""
    assert isinstance(app.middleware_stack, Observed)
    way = app.middleware_stack._often.way(scope)
    return None if way is None else (*way, scope["path_params"])


def found_in_table(app: Starlette, scope: Scope) -> tuple[str, object, object] | None:
    """Where the table leads."""
    for route in app.routes:
        match, more = route.matches(scope)
        if match is Match.FULL:
            assert isinstance(route, Route)
            endpoint = route.endpoint
            if isinstance(endpoint, Either):
                endpoint = endpoint._posting
            return route.path, endpoint, more["path_params"]
    return None


def posted(path: str, **more: str) -> Scope:
    """A request."""
    return {"type": "http", "method": "POST", "path": path, "root_path": "", **more}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/check",
        "/v1/checks",
        "/v1/usage",
        "/v1/reservations/res_YTA.x/commit",
        "/v1/reservations/res_YTA.x/release",
    ],
)
def test_what_is_asked_often_is_answered_by_what_the_table_has(path: str, app: Starlette) -> None:
    found = found_often(app, posted(path))
    assert found is not None
    assert found == found_in_table(app, posted(path))


@pytest.mark.parametrize(
    "scope",
    [
        posted("/v1/check/"),
        posted("/v1/check", method="GET"),
        posted("/v1/usage", method="GET"),
        posted("/v1/usage", method="HEAD"),
        posted("/v1/check", root_path="/v1"),
        posted("/v1/reservations//commit"),
        posted("/v1/reservations/res_1/commit/"),
        posted("/v1/reservations/res/1/commit"),
        posted("/v1/reservations/res_1"),
        posted("/v1/reservations/"),
        posted("/metrics"),
    ],
    ids=str,
)
def test_all_else_is_searched_for(scope: Scope, app: Starlette) -> None:
    assert found_often(app, scope) is None
