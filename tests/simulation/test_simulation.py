"""Is a simulation's answer the one that a recount of everything gives?"""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from sidecar.cli.simulate import simulate
from tests.simulation import recount
from tests.simulation.course import NEW, OLD, course, line


def written(folder: Path, events: list[dict[str, Any]]) -> tuple[Path, Path, Path]:
    for name, text in (("new", NEW), ("old", OLD)):
        (folder / name).mkdir()
        (folder / name / "policy.yaml").write_text(text)
    file = folder / "events.ndjson"
    file.write_bytes(b"".join(map(line, events)))
    return folder / "new", folder / "old", file


def run(*arguments: object) -> dict[str, Any]:
    done = CliRunner().invoke(simulate, [*map(str, arguments), "--format", "json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def candidate() -> recount.Policy:
    return recount.Policy(
        recount.NEW, lambda plan, request: plan == "free" and request["plugin"] == "pro_tool"
    )


def old() -> recount.Policy:
    return recount.Policy(recount.OLD, lambda plan, request: False)


def pairs(outcome: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(each["from"], each["to"]): each["count"] for each in outcome["changes"]}


def at(event: dict[str, Any]) -> str:
    return datetime.fromisoformat(event["at"]).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kinds", ["dcu", "dc", "ddu", "cu"])
def test_it_answers_what_a_recount_answers(kinds: str, seed: int, tmp_path: Path) -> None:
    events = list(course(900, seed=seed, users=12, span=timedelta(hours=30), kinds=kinds))
    new, against, file = written(tmp_path, events)

    outcome = run("--policies", new, "--events", file, "--against", against)
    by = "usage" if "u" in kinds else "holds"
    answers = recount.recount(events, [old(), candidate()], by=by)

    assert outcome["counted_by"] == by
    assert outcome["compared"] == len(answers)
    assert pairs(outcome) == recount.changes(answers)
    assert sum(pairs(outcome).values()) == outcome["changed"] > 20
    for each in outcome["changes"]:
        times = [at(event) for event, pair in answers if pair == [each["from"], each["to"]]]
        assert (each["first"], each["last"]) == (min(times), max(times))
    users = Counter(
        (request["app_id"], request["user_id"])
        for event, (base, said) in answers
        if base != said
        for request in [event.get("request", event)]
    )
    assert outcome["users"]["changed"] == len(users)
    assert {
        (each["app_id"], each["user_id"]): each["changed"] for each in outcome["users"]["top"]
    } == dict(sorted(users.items(), key=lambda row: (-row[1], row[0]))[:10])


def test_use_can_be_left_aside(tmp_path: Path) -> None:
    events = list(course(600, seed=9, users=12, span=timedelta(hours=20), kinds="dcu"))
    new, against, file = written(tmp_path, events)

    outcome = run("--policies", new, "--events", file, "--against", against, "--count", "estimates")
    answers = recount.recount(events, [old(), candidate()], by="estimates")

    assert pairs(outcome) == recount.changes(answers)
    assert outcome["counted_by"] == "estimates"
    assert outcome["events"]["usage_ignored"] == len(events) - len(answers) > 100
