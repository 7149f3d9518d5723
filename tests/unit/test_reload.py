"""What is in force after the files were read again?"""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.bootstrap import LoadedPolicies, load_policies
from sidecar.domain.prices import Rates
from sidecar.settings import Settings
from tests.unit.world import write

SPEND = """
plans:
  {plan}: {{plugins: [], limits: [{{id: spend, meter: cost, max: 5, window: day}}]}}
"""
PRICES = "apiVersion: sidecar/v1\nkind: Prices\ncurrency: USD\nmodels: {{m: {rates}}}\n"


class Files:
    """A policy and a price file, as an operator edits them."""

    def __init__(self, folder: Path) -> None:
        self.policies = folder / "policies"
        self.policies.mkdir()
        self.prices = folder / "prices.yaml"
        self.plan("free")
        self.price("{input: 1, output: 1}")
        self.settings = Settings.model_validate(
            {"sidecar_policies": self.policies, "sidecar_prices": self.prices}
        )
        self.loaded = LoadedPolicies(load_policies(self.settings))

    def plan(self, name: str) -> None:
        write(self.policies, SPEND.format(plan=name))

    def price(self, rates: str) -> None:
        self.prices.write_text(PRICES.format(rates=rates))

    def reload(self) -> list[str]:
        """What is logged meanwhile."""
        with capture_logs() as logs:
            self.loaded.reload(self.settings)
        return [log["event"] for log in logs]

    @property
    def in_force(self) -> tuple[set[str], Rates | None]:
        rules = self.loaded.snapshot
        assert rules.prices is not None
        return set(rules.plan_ids), rules.prices.of("m")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_prices_are_read_again_with_the_policies(files: Files) -> None:
    before = files.loaded.snapshot.revision
    files.price("{input: 2, output: 3}")

    assert files.reload() == ["policies_loaded"]
    assert files.in_force == ({"free"}, Rates(2_000_000, 3_000_000))
    assert files.loaded.snapshot.revision != before


def test_broken_prices_leave_the_last_good_ones_in_force_and_stop_no_policy(files: Files) -> None:
    files.price("{input: cheap, output: 3}")
    files.plan("pro")

    assert files.reload() == ["prices_rejected", "policies_loaded"]
    assert files.in_force == ({"pro"}, Rates(1_000_000, 1_000_000))


def test_prices_that_are_gone_leave_the_last_good_ones_in_force(files: Files) -> None:
    files.prices.unlink()

    assert files.reload() == ["prices_rejected", "policies_loaded"]
    assert files.in_force == ({"free"}, Rates(1_000_000, 1_000_000))


def test_broken_policies_leave_everything_as_it_was(files: Files) -> None:
    files.price("{input: 2, output: 3}")
    files.plan("'not a plan'")

    assert files.reload() == ["policies_rejected"]
    assert files.in_force == ({"free"}, Rates(1_000_000, 1_000_000))
