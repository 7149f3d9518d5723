"""What does policies/README.md show, when it is done and not only read?

A `yaml` block is a policy; what it leaves out of the head, and a plan where it has none, are
written below it, so that its lines keep their numbers. A block with a name behind its fence is a
further file beside the one above. A `text` block is what `sidecar lint` says of it, every line;
where there is none, lint says nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.policy.lint.inspecting import inspected, warned
from sidecar.policy.price_file import load_prices
from tests.broken.pages import TODAY
from tests.documents import Block, blocks_of
from tests.processes import ROOT

GUIDE = ROOT / "policies/README.md"
PRICES = "prices/models.yaml"
_HEAD = {
    "apiVersion": "apiVersion: sidecar/v1",
    "kind": "kind: Policy",
    "metadata": "metadata: {name: example}",
    "plans": 'plans: {free: {plugins: ["*"]}}',
}


@dataclass(slots=True)
class Example:
    """Some files and what is said of them, None for nothing."""

    line: int
    files: dict[str, str] = field(default_factory=dict)
    answer: str | None = None


def examples() -> Sequence[Example]:
    """Every example of the guide, by its line."""
    return list(_examples(blocks_of(GUIDE.read_text(encoding="utf-8"))))


def _examples(blocks: Sequence[Block]) -> Iterator[Example]:
    example: Example | None = None
    for block in blocks:
        if block.language == "yaml" and block.name and example is not None:
            example.files[block.name] = block.text
        elif block.language == "text" and example is not None:
            example.answer = block.text
        else:
            if example is not None:
                yield example
            example = None
            if block.language == "yaml":
                example = Example(block.line, {"policy.yaml": _completed(block.text)})
    if example is not None:
        yield example


def _completed(text: str) -> str:
    lacking = [line for key, line in _HEAD.items() if not re.search(rf"(?m)^{key}:", text)]
    return text + "".join(f"{line}\n" for line in lacking)


def said_of(example: Example, folder: Path) -> str | None:
    """What lint says of its files, with their names as they stand in the example."""
    for name, text in example.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    prices = load_prices(folder / PRICES) if PRICES in example.files else None
    found = warned(inspected(folder, prices), TODAY, require_tests=False)
    return "".join(f"{each}\n" for each in found).replace(f"{folder}/", "") or None
