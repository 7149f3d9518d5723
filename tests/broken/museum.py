"""What does `lint` say to each wrong policy of this directory, and to wrong prices?

An exhibit is `NAME.yaml`, or a directory `NAME/` where the mistake needs several files; price
files are in `prices/`, and what is called `priced-…` is judged with prices. The answer stands in
`NAME.txt`; `python -m tests.broken --write` writes the answers anew.
"""

from pathlib import Path

from sidecar.policy.diagnostics import InvalidFiles, InvalidPolicies
from sidecar.policy.lint.inspecting import inspected, warned
from sidecar.policy.load import SHIPPED_SETS, shipped
from sidecar.policy.price_file import load_prices
from sidecar.policy.prices import PriceList
from tests.broken.pages import TODAY
from tests.processes import ROOT

ROOM = Path(__file__).parent
PRICES = ROOM / "prices"

STARTING_POINTS = [
    *map(shipped, SHIPPED_SETS),
    *sorted(filter(Path.is_dir, (ROOT / "policies/examples").glob("*"))),
]
"""Directories with whose policies people begin."""
EXAMPLE_PRICES = load_prices(ROOT / "policies/prices/example.yaml")


def exhibits() -> list[Path]:
    """Every wrong file, by name; `cel/` and `example/` are rooms of others."""
    directories = {answer.with_suffix("") for answer in ROOM.glob("*.txt")}
    policies = [*ROOM.glob("*.yaml"), *filter(Path.is_dir, directories)]
    return sorted(policies) + sorted(PRICES.glob("*.yaml"))


def answer_of(exhibit: Path) -> Path:
    """The file with the exact words."""
    return exhibit.with_suffix(".txt")


def prices_for(exhibit: Path) -> PriceList | None:
    """What an exhibit is judged with."""
    return EXAMPLE_PRICES if exhibit.stem.startswith("priced-") else None


def answer(exhibit: Path) -> str:
    """What is said today, with names of files as they stand in the exhibit."""
    try:
        if exhibit.parent == PRICES:
            load_prices(exhibit)
        else:
            with_tests = any(exhibit.glob("*_test.yaml"))
            it = inspected(exhibit, prices_for(exhibit))
            findings = warned(it, TODAY, require_tests=with_tests)
            if findings:
                raise InvalidPolicies(findings)
    except InvalidFiles as error:
        around = exhibit if exhibit.is_dir() else exhibit.parent
        return f"{error}\n".replace(f"{around}/", "")
    return "nobody finds anything wrong with it\n"
