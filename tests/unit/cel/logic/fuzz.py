"""Is anything called impossible, always true or implied that is not?

python -m tests.unit.cel.logic.fuzz [--count N] [--seed S]
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter

from sidecar.cel import CelError
from tests.unit.cel.logic.world import claim, conjunction, context, program


def wrong_claims(
    text: str, other: str, pick: random.Random, contexts: int
) -> tuple[str, list[str]]:
    """What is claimed of two expressions in a word, and which claims a context refutes."""
    one, two = claim(text), claim(other)
    claims = {
        "never true": one.is_never_true,
        "never false": one.is_never_false,
        "never fails": not one.may_err,
        "implies": one.implies(two),
    }
    refuted = []
    evaluate, evaluate_other = program(text).evaluate, program(other).evaluate
    for _ in range(contexts if any(claims.values()) else 0):
        facts = context(pick)
        value = evaluate(facts)
        happened = {
            "never true": value is True,
            "never false": value is False,
            "never fails": isinstance(value, CelError),
            "implies": value is True and evaluate_other(facts) is not True,
        }
        refuted += [
            f"{word}: {text} | {other} | {facts}"
            for word in claims
            if claims[word] and happened[word]
        ]
    said = [word for word in ("never true", "never false", "implies") if claims[word]]
    return " and ".join(said), refuted


def main() -> int:
    """Prints how often what was claimed; 1 if a claim was refuted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--contexts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20260501)
    options = parser.parse_args()
    pick = random.Random(options.seed)
    claimed: Counter[str] = Counter()
    refuted: list[str] = []
    for _ in range(options.count):
        said, wrong = wrong_claims(conjunction(pick), conjunction(pick), pick, options.contexts)
        claimed[said or "nothing"] += 1
        refuted += wrong
    for said, times in claimed.most_common():
        print(f"{times:8} {said}")
    print(f"{len(refuted)} claims refuted")
    for each in refuted[:20]:
        print(f"  {each}")
    return 1 if refuted else 0


if __name__ == "__main__":
    sys.exit(main())
