"""What do policies or prices of a path say, and what is wrong with them?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.bootstrap.prices import prices_named_by
from sidecar.cli.findings import counted
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import Diagnostic, InvalidFiles, in_order
from sidecar.policy.files import content_of, source_of
from sidecar.policy.lint.inspecting import Inspected, inspected
from sidecar.policy.price_file import is_price_file, load_prices
from sidecar.settings import read_settings


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found at a path.

    Attributes:
        mistakes: what keeps it from loading, in order of place.
        summary: what a person is told where there is nothing else to tell.
        policies: None for a price file, or where prices do not load.
    """

    mistakes: Sequence[Diagnostic]
    summary: str = ""
    policies: Inspected | None = None


def inspection_of(path: Path, prices: Path | None) -> Inspection:
    """Policies of a directory or file, or a price file, and all that is wrong with them.

    Raises:
        ConfigurationError: there is nothing of the kind.
    """
    if not path.exists():
        raise ConfigurationError(f"{path}: there is no such file or directory")
    try:
        return _prices(path) if _is_price_file(path) else _policies(path, prices)
    except InvalidFiles as error:
        return Inspection(in_order(error.diagnostics))


def _is_price_file(path: Path) -> bool:
    if not path.is_file():
        return False
    source = source_of(path, content_of(path))
    return not isinstance(source, Diagnostic) and is_price_file(source)


def _prices(path: Path) -> Inspection:
    prices = load_prices(path)
    return Inspection((), f"{path}: {counted(prices.count, 'price')} in {prices.currency}")


def _policies(path: Path, prices: Path | None) -> Inspection:
    settings = read_settings(sidecar_prices=prices)
    found = inspected(path, prices_named_by(settings))
    policies = found.examined.policies
    summary = ""
    if policies is not None:
        files = counted(len(found.policies), "file")
        plans = counted(len(policies.plans), "plan")
        summary = f"{path}: {files}, {plans}, {policies.revision}"
    return Inspection(found.mistakes, summary, found)
