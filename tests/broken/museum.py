"""What does the sidecar say to each wrong policy of this directory?

An exhibit is `NAME.yaml`, or a directory `NAME/` where the mistake needs several files; the
answer stands in `NAME.txt`. `python -m tests.broken --write` writes the answers anew.
"""

from pathlib import Path

from sidecar.domain.modes import Ceiling
from sidecar.policy.diagnostics import InvalidPolicies
from sidecar.policy.load import load

ROOM = Path(__file__).parent


def exhibits() -> list[Path]:
    """Every wrong policy, by name; `cel/` and `example/` are rooms of others."""
    directories = {answer.with_suffix("") for answer in ROOM.glob("*.txt")}
    return sorted([*ROOM.glob("*.yaml"), *filter(Path.is_dir, directories)])


def answer_of(exhibit: Path) -> Path:
    """The file with the exact words."""
    return exhibit.with_suffix(".txt")


def answer(exhibit: Path) -> str:
    """What is said today, with names of files as they stand in the exhibit."""
    try:
        load(exhibit, ceiling=Ceiling.AS_WRITTEN)
    except InvalidPolicies as error:
        around = exhibit if exhibit.is_dir() else exhibit.parent
        return f"{error}\n".replace(f"{around}/", "")
    return "it loads\n"
