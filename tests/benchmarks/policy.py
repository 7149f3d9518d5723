"""How long do 2,000 rules take to validate, and what do they cost where 20 of them concern one?

`make bench-policy` prints it. Three directories are compared in turns: the 20 rules alone, the
same 20 among 2,000 in 50 files, and 2,000 of which each concerns every request, for scale.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sidecar.domain.explanation import Explanation
from sidecar.domain.limits import Reading
from sidecar.domain.modes import Ceiling
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.policy.load import load
from sidecar.policy.snapshot import PolicySet
from tests.benchmarks.calm import calm_garbage_collection

RULES: Final = 2_000
FILES: Final = 50
CONCERNED: Final = 20
MOST_S: Final = 5.0
PLUGIN: Final = "search_web"
NOW: Final = datetime(2026, 5, 5, 21, 30, tzinfo=UTC)
REQUEST: Final = CheckRequest(
    Subject("acme", "ann"),
    plugin=PLUGIN,
    model="gpt-4o-mini",
    estimate=Amounts(tokens=900, input_tokens=900, requests=1, concurrency=1),
    attributes={"region": "eu"},
)
SUBSCRIPTION: Final = Subscription("ann", plan="pro", status=Status.ACTIVE, updated_at=NOW)

_PLANS = """\
plans:
  free: {plugins: ["*"], tokens_per_month: 10000}
  pro: {extends: free, plugins: ["*"], tokens_per_month: 100000}
"""
_CONDITIONS = (
    "request.estimated_tokens > 8000 && !request.model.contains('mini')",
    "has(request.attributes.region) && request.attributes.region == 'us'",
    "subscription.status == 'past_due' && request.estimated_tokens > 1000",
    "now.getDayOfWeek() in [0, 6] && !(request.user_id in ['ann', 'bob'])",
)


def globs_of(number: int) -> Sequence[str]:
    """Whom a rule of the large set concerns: our plugin now and then, else some other."""
    turn, rest = divmod(number, RULES // CONCERNED)
    if rest == 0:
        names = (PLUGIN, "search_*", "*")
        return [names[turn % 3]]
    names = (f"tool{number}_*", f"pack{number % 97}.item{number}", f"app{number}?_run")
    return [names[number % 3]]


def rule(number: int, globs: Sequence[str]) -> str:
    """A rule in YAML."""
    return f"""\
  - id: rule-{number}
    match: {{plugins: [{", ".join(map(repr, globs))}]}}
    when: {_CONDITIONS[number % len(_CONDITIONS)]}
    effect: deny
    on_error: deny
    message: Rule {number} says no.
"""


def write_set(directory: Path, globs: Sequence[Sequence[str]], files: int) -> Path:
    """A directory with a rule for each of the globs, in so many files."""
    directory.mkdir()
    for index in range(files):
        rules = [rule(number, globs[number]) for number in range(index, len(globs), files)]
        head = f"apiVersion: sidecar/v1\nkind: Policy\nmetadata: {{name: f{index}}}\n"
        plans = _PLANS if index == 0 else ""
        text = f"{head}mode: enforce\n{plans}rules:\n{''.join(rules)}"
        (directory / f"{index:02}.yaml").write_text(text)
    return directory


def large_set(directory: Path) -> Path:
    """2,000 rules in 50 files, of which 20 concern the request."""
    return write_set(directory, [globs_of(number) for number in range(RULES)], FILES)


def small_set(directory: Path) -> Path:
    """Those 20 alone."""
    concerned = [globs_of(number) for number in range(0, RULES, RULES // CONCERNED)]
    return write_set(directory, concerned, 1)


def open_set(directory: Path) -> Path:
    """2,000 rules that all concern every request."""
    return write_set(directory, [("*",)] * RULES, FILES)


def decide(policies: PolicySet, request: CheckRequest = REQUEST) -> object:
    """One decision, without a store."""
    entitlement = policies.resolve(SUBSCRIPTION, request, NOW)
    readings = [Reading(it.limit, 0, 0, it.amount, None) for it in entitlement.charges]
    return policies.decide(request, entitlement, readings, NOW)


def explained(policies: PolicySet) -> Explanation:
    """The same decision taken apart."""
    charges = policies.charges(SUBSCRIPTION, REQUEST, NOW)
    readings = [Reading(it.limit, 0, 0, it.amount, None) for it in charges]
    return policies.explain(REQUEST, SUBSCRIPTION, readings, NOW, every_rule=False)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A set that is measured, and what it took so far in microseconds a decision."""

    name: str
    policies: PolicySet
    spent: list[float]


def measure(contestants: Sequence[Contestant], rounds: int, seconds: float) -> None:
    """Let each decide in turns, so that a busy moment hits all alike."""
    for _ in range(rounds):
        for contestant in contestants:
            count, start = 0, time.perf_counter()
            while (passed := time.perf_counter() - start) < seconds:
                for _ in range(10):
                    decide(contestant.policies)
                count += 10
            contestant.spent.append(passed / count * 1e6)


def sets(folder: Path) -> Iterator[tuple[Contestant, float]]:
    """Each set, loaded, and seconds of a processor that this took."""
    for name, write in (
        (f"{CONCERNED} rules", small_set),
        (f"{RULES:,} rules, {CONCERNED} concerned", large_set),
        (f"{RULES:,} rules, all concerned", open_set),
    ):
        directory = write(folder / write.__name__)
        start, used = time.perf_counter(), time.process_time()
        policies = load(directory, ceiling=Ceiling.AS_WRITTEN)
        # On a busy machine others are in the first; the second is this one's own.
        spent_s, used_s = time.perf_counter() - start, time.process_time() - used
        files = len(list(directory.iterdir()))
        print(f"validate  {name:28} {files:3} files {spent_s:8.2f} s, processor {used_s:.2f} s")
        yield Contestant(name, policies, []), used_s


def main(arguments: Sequence[str] = ()) -> list[Contestant]:
    """Print the tables.

    Raises:
        AssertionError: 2,000 rules take five seconds of a processor to validate.
    """
    rounds, seconds = (1, 0.01) if "--quick" in arguments else (15, 0.2)
    with tempfile.TemporaryDirectory() as folder, calm_garbage_collection():
        loaded = list(sets(Path(folder)))
        contestants = [contestant for contestant, _ in loaded]
        measure(contestants, rounds, seconds)
    floor = statistics.median(contestants[0].spent)
    for contestant in contestants:
        median = statistics.median(contestant.spent)
        counts = explained(contestant.policies).counts
        print(
            f"decide    {contestant.name:28} {median:10.1f} µs {median / floor:8.2f} x"
            f"   {counts.rules_touched:5,} of {counts.rules:5,} rules touched"
        )
    assert max(used_s for _, used_s in loaded) < MOST_S, "2,000 rules took too long to validate"
    return contestants


if __name__ == "__main__":
    main(sys.argv[1:])
