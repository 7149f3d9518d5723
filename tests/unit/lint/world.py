"""What lint says to a policy that a test writes."""

from datetime import UTC, datetime
from pathlib import Path

from sidecar.domain.modes import Ceiling
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint import lint
from sidecar.policy.load import examine
from sidecar.policy.price_file import load_prices
from tests.unit.world import write

PRICES = Path(__file__).parents[3] / "policies" / "prices" / "example.yaml"
TODAY = datetime(2026, 6, 1, 12, tzinfo=UTC)
FREE = 'plans: {free: {plugins: ["*"]}}\n'
FREE_AND_PRO = 'plans: {free: {plugins: ["*"]}, pro: {plugins: ["*"]}}\n'


def warned(directory: Path, text: str) -> tuple[Diagnostic, ...]:
    """The warnings about one file, which has to load."""
    path = write(directory, text)
    examined = examine(path, ceiling=Ceiling.AS_WRITTEN, prices=load_prices(PRICES))
    assert [str(found) for found in examined.findings] == []
    return lint(examined, TODAY)


def codes(directory: Path, text: str) -> list[str]:
    """The codes of the warnings, in order of their places."""
    return [found.code for found in warned(directory, text)]


def limits(*written: str, plan: str = 'plugins: ["*"]') -> str:
    """A plan with these limits."""
    return f"plans: {{free: {{{plan}, limits: [{', '.join(f'{{{it}}}' for it in written)}]}}}}\n"


def rule(when: str, written: str = "effect: warn", name: str = "odd") -> str:
    """A rule with a condition."""
    return f"  - {{id: {name}, {written}, message: Look here., when: '{when}'}}\n"
