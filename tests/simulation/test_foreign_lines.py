"""Lines that look like a decision log's and are none: each is told, none ends a simulation."""

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from sidecar.cli.simulate import simulate
from tests.in_process import application
from tests.simulation.test_recordings import MONTHLY, ask, folder_of

_STRANGE: tuple[object, ...] = (
    None, 1, -1, 1.5, True, "x", "", [], {}, [None], [{}], 10**18, "0001-01-01T00:00:00",
    "9999-12-31T23:59:59Z", "2026-01-01T00:00:00",
)  # fmt: skip


def places(value: object, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in it."""
    inner: Iterable[tuple[Any, object]] = ()
    match value:
        case dict():
            inner = value.items()
        case list():
            inner = enumerate(value)
    for name, item in inner:
        yield (*before, name)
        yield from places(item, (*before, name))


def others_of(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The line with something else in each of its places."""
    for *way, last in places(line):
        for strange in _STRANGE:
            other = copy.deepcopy(line)
            holder: Any = other
            for name in way:
                holder = holder[name]
            holder[last] = strange
            yield other


async def test_a_decision_with_anything_in_any_place_is_counted_or_told(tmp_path: Path) -> None:
    policies, log = folder_of(tmp_path / "policies", MONTHLY), tmp_path / "log"
    async with application(policies, sidecar_decision_log=log) as client:
        push = {"userId": "u1", "appId": "demo", "plan": "free", "status": "active"}
        assert (await client.post("/api/internal/subscription/sync", json=push)).is_success
        await ask(client, 18)
    (file,) = log.iterdir()
    good = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    pushed = next(line for line in good if line["request"]["user_id"] == "u1")
    denied = next(line for line in good if line["effect"] == "deny")
    strange = [*others_of(pushed), *others_of(denied), "at", ["at"], {"event_ts": None}]
    mixed = tmp_path / "mixed.ndjson"
    mixed.write_bytes(b"\n".join(map(orjson.dumps, [*good, *strange, *good])))

    done = CliRunner().invoke(
        simulate, ["--policies", str(policies), "--events", str(mixed), "--format", "json"]
    )

    assert done.exit_code == 0, done.exception
    events = orjson.loads(done.stdout)["events"]
    assert events["unreadable"] > 100
    assert events["checks"] + events["unreadable"] == len(strange) + 2 * len(good)


@pytest.mark.parametrize("text", ["at", "decision_id", "event_ts", "specversion"])
def test_a_line_that_is_only_a_word_is_told(text: str, tmp_path: Path) -> None:
    policies, file = folder_of(tmp_path / "policies", MONTHLY), tmp_path / "words.ndjson"
    file.write_bytes(orjson.dumps(text))

    done = CliRunner().invoke(simulate, ["--policies", str(policies), "--events", str(file)])

    assert "an event is an object" in done.stderr
