"""The reference policies with more of one thing: rules, plans, or limits of each plan."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.benchmarks.load import POLICIES
from tests.benchmarks.policy import CONCERNED, FILES, RULES, globs_of, rule

_ROOM: Final = 10**12
_FURTHER: Final = [
    {"meter": meter, "window": window, **more}
    for window, more in (
        ("5m", {}), ("1d", {}), ("1h", {"per": ["app", "user", "model"]}),
        ("1d", {"per": ["app", "user", "plugin"]}), ("1d", {"per": ["app"]}),
    )
    for meter in ("tokens", "requests", "output_tokens")
]  # fmt: skip
"""Limits beside the three that each plan has, over counters of their own."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How many there are.

    Attributes:
        rules: in all; those beyond the reference concern other plugins.
        plans: in all; nobody has those beyond the reference.
        limits: of each plan.
    """

    rules: int = CONCERNED
    plans: int = 5
    limits: int = 3

    def written(self, folder: Path) -> Path:
        """The directory with these policies."""
        if self == Growth():
            return POLICIES
        folder.mkdir()
        policy: dict[str, Any] = yaml.safe_load((POLICIES / "policy.yaml").read_text())
        for name, plan in policy["plans"].items():
            self._limit(name, plan)
        first = next(iter(policy["plans"].values()))
        for number in range(self.plans - len(policy["plans"])):
            told = {"name": f"Plan {number}", "plugins": [f"pack{number}_*"]}
            policy["plans"][f"plan-{number}"] = {**first, **told, "limits": []}
        for told in policy["rules"]:
            told["when"] = " ".join(told["when"].split())
        # By way of JSON, lest what stands in several places becomes an alias.
        plain = json.loads(json.dumps(policy))
        text = yaml.safe_dump(plain, sort_keys=False, width=10_000)
        (folder / "policy.yaml").write_text(text)
        others = [number for number in range(2 * RULES) if number % (RULES // CONCERNED)]
        _write_rules(folder, others[: self.rules - CONCERNED])
        return folder

    def _limit(self, name: str, plan: dict[str, Any]) -> None:
        """Give a plan so many limits; one for the month is told apart from them."""
        further = [
            {"id": f"{name}-limit-{number}", "max": _ROOM, **told}
            for number, told in enumerate(_FURTHER)
        ]
        plan["limits"] = [*plan["limits"], *further][: self.limits - 1]


def _write_rules(folder: Path, numbers: list[int]) -> None:
    for index in range(min(FILES, len(numbers))):
        rules = [rule(number, globs_of(number)) for number in numbers[index::FILES]]
        head = f"apiVersion: sidecar/v1\nkind: Policy\nmetadata: {{name: f{index}}}\n"
        text = f"{head}mode: enforce\nrules:\n{''.join(rules)}"
        (folder / f"{index:02}.yaml").write_text(text)
