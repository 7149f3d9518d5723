"""What do the examples on the page of a code say, when they are files of a directory?

An example is a fenced block under *Avoid* or *Prefer*; several blocks are several files. A block
is `policy.yaml` unless a name stands behind its fence (`yaml policy_test.yaml`).
A policy without `apiVersion` gets the usual head, one without `plans` a plan `free` of all plugins.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.inspecting import inspected, warned

TODAY = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""The day on which exhibits and examples are looked at."""
_HEAD = "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: example}\n"
_PLANS = 'plans: {free: {plugins: ["*"]}}\n'
_BLOCK = re.compile(r"(?ms)^```yaml *(\S*)\n(.*?)^```$")


def section(text: str, heading: str) -> str:
    """What stands under a heading of a page."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def findings_of(example: str, directory: Path) -> tuple[Diagnostic, ...]:
    """What lint says to the blocks of an example."""
    for name, block in _BLOCK.findall(example):
        (directory / (name or "policy.yaml")).write_text(_completed(block), encoding="utf-8")
    return warned(inspected(directory), TODAY, require_tests=True)


def _completed(block: str) -> str:
    if "apiVersion" in block:
        return block
    # Further down, so that what the example says first stands first.
    plans = "" if re.search(r"(?m)^plans:", block) else _PLANS
    return _HEAD + block + plans
