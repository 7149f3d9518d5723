"""A slip of the finger in a test file is told with its place, or changes what is asked; no more."""

import random

from sidecar.policy.load import shipped
from sidecar.policy.testing import run_contents

EDITS = 150


def test_a_character_more_or_less_leads_to_a_finding_or_an_answer() -> None:
    directory = shipped("platform")
    file = directory / "platform_test.yaml"
    policies = [(directory / "policy.yaml", (directory / "policy.yaml").read_bytes())]
    text = file.read_text(encoding="utf-8")
    chance = random.Random(20260505)
    refused = 0
    for _ in range(EDITS):
        at = chance.randrange(len(text))
        character = chance.choice("abz019:{}[],-\"'# \n|&*!>%@\té\u202e")
        behind = text[at + chance.randrange(2) :]
        report = run_contents(policies, [(file, f"{text[:at]}{character}{behind}".encode())])

        refused += bool(report.findings)
        for found in report.findings:
            assert (found.file, found.line >= 1, found.column >= 1) == (str(file), True, True)

    assert EDITS // 4 < refused < EDITS
