"""The page of the chart lists every value with its default and what it is for."""

import re
from typing import Any

import yaml

from tests.deploying.charts import CHART, EXAMPLES

README = CHART / "README.md"
_BEGIN, _END = "<!-- values -->\n", "<!-- end of values -->"


def table() -> str:
    """The table, made of values.yaml and its comments.

    Above a value, or above what it belongs to, stands `# name: what it is for.`, over several lines
    where it is long; several names may share a sentence.
    """
    text = (CHART / "values.yaml").read_text()
    words: dict[str, str] = {}
    for block in re.findall(r"(?m)(?:^ *#.*\n)+", text):
        said = " ".join(line.strip().lstrip("# ") for line in block.splitlines())
        names, _, purpose = said.partition(": ")
        for name in names.split(", "):
            words[name] = purpose
    rows = ["| value | default | |", "|---|---|---|"]
    for name, default in flat(yaml.safe_load(text)):
        shown = yaml.safe_dump(default, default_flow_style=True).splitlines()[0]
        rows.append(f"| `{name}` | `{shown}` | {words.get(name, OTHERS.get(name, ''))} |")
    return "\n".join(rows) + "\n"


WHOLE = {"resources", "store.redis.secret", "monitoring.dashboard.labels"}
"""Values that are one thing, though they have parts."""
OTHERS = {"resources": "What a pod asks for, and what it may have."}


def flat(values: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Each value by its path; what is one value to Kubernetes stays one."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        here = f"{path}{name}"
        if isinstance(value, dict) and value and here not in WHOLE:
            found += flat(value, f"{here}.")
        else:
            found.append((here, value))
    return found


def test_the_page_has_them_all() -> None:
    page = README.read_text()

    assert _BEGIN + table() + _END in page, "write it anew: python -m tests.deploying"


def test_each_says_what_it_is_for() -> None:
    silent = [row for row in table().splitlines()[2:] if row.endswith("|  |")]

    assert silent == []


def test_the_page_names_every_example() -> None:
    page = README.read_text()

    assert [path.name for path in EXAMPLES if f"helm/examples/{path.name}" not in page] == []
    assert len(EXAMPLES) == 5
