"""The page of the API, as somebody sees it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Scheme, Visit
from tests.browser.looking import barriers, photograph
from tests.processes import Sidecar


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A running server without keys."""
    folder: Path = tmp_path_factory.mktemp("docs")
    with Sidecar(store="sqlite:///./sidecar.db", cwd=folder) as sidecar:
        yield sidecar


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_api_can_be_used_without_seeing_it(
    sidecar: Sidecar, visit: Visit, scheme: Scheme
) -> None:
    page = visit(sidecar.url, "/docs", scheme=scheme)

    photograph(page, f"docs-{scheme}")
    assert barriers(page) == []
