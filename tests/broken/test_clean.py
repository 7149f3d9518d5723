"""Is there nothing at all to say of the policies that people start from?"""

from pathlib import Path

import pytest

from sidecar.policy.lint.inspecting import inspected, warned
from sidecar.policy.load import SHIPPED_SETS, shipped
from sidecar.policy.price_file import load_prices
from tests.broken.pages import TODAY
from tests.processes import ROOT

PRICES = ROOT / "policies/prices/example.yaml"
EXAMPLES = sorted({file.parent for file in (ROOT / "policies/examples").rglob("*.yaml")})


@pytest.mark.parametrize(
    "directory", [*map(shipped, SHIPPED_SETS), *EXAMPLES], ids=lambda directory: directory.name
)
def test_shipped_policies_and_examples_are_clean_and_wholly_tested(directory: Path) -> None:
    found = warned(inspected(directory, load_prices(PRICES)), TODAY, require_tests=True)

    assert [str(it) for it in found] == []
