"""Is there nothing at all to say of the policies that people start from?"""

from pathlib import Path

import pytest

from sidecar.policy.lint.inspecting import inspected, warned
from tests.broken.museum import EXAMPLE_PRICES, STARTING_POINTS
from tests.broken.pages import TODAY


@pytest.mark.parametrize("directory", STARTING_POINTS, ids=lambda directory: directory.name)
def test_shipped_policies_and_examples_are_clean_and_wholly_tested(directory: Path) -> None:
    found = warned(inspected(directory, EXAMPLE_PRICES), TODAY, require_tests=True)

    assert [str(it) for it in found] == []
