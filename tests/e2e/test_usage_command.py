"""`sidecar usage`: what was used and what is left, for a person and for a program."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import sidecar as run
from tests.processes import Sidecar

KEY = {"Authorization": "Bearer look"}
INTERNAL = {"X-Internal-API-Key": "push"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    keys = {"SIDECAR_READ_KEYS": "look", "SIDECAR_RUNTIME_KEYS": "run", "INTERNAL_API_KEY": "push"}
    folder = tmp_path_factory.mktemp("usage")
    with Sidecar(store="sqlite://", cwd=folder, env=keys) as running:
        for number, model in enumerate(("gpt-4o", "gpt-4o", "\x1b]0;owned\x07")):
            event = {
                "event_id": f"e{number}", "app_id": "demo", "user_id": "ann",
                "model_name": model, "prompt_tokens": 4000, "completion_tokens": 300,
            }  # fmt: skip
            running.client.post("/v1/usage", json=event, headers=INTERNAL).raise_for_status()
        yield running


def ask(server: Sidecar, folder: Path, *words: str, key: str = "look") -> tuple[int, str, str]:
    return run(folder, "usage", "--url", server.url, "--key", key, *words)


def test_a_person_sees_what_was_used_and_what_is_left(server: Sidecar, tmp_path: Path) -> None:
    code, told, _ = ask(server, tmp_path, "--app", "demo", "--user", "ann", "--by", "model")

    lines = told.splitlines()
    assert code == 0
    assert lines[0] == "app demo, user ann: plan free, subscription none"
    assert lines[1].endswith(", UTC, whole hours")
    assert lines[3].split() == [
        "hour",
        "model",
        "input",
        "tokens",
        "output",
        "tokens",
        "total",
        "tokens",
        "requests",
    ]
    # What a model calls itself does not steer the terminal.
    assert "\x1b" not in told
    assert lines[4].split()[2:] == ["\ufffd]0;owned\ufffd", "4,000", "300", "4,300", "1"]
    assert lines[5].split()[2:] == ["gpt-4o", "8,000", "600", "8,600", "2"]
    assert lines[6].split() == ["total", "12,000", "900", "12,900", "3"]
    month = next(line.split() for line in lines if line.startswith("free-tokens-per-month"))
    assert month[2:7] == ["#" * 20, "12,900", "0", "10,000", "0"]


def test_a_program_gets_what_the_server_answers(server: Sidecar, tmp_path: Path) -> None:
    code, told, _ = ask(server, tmp_path, "--app", "demo", "--user", "ann", "--json")

    answer = json.loads(told)
    assert code == 0
    assert answer["totals"]["total_tokens"] == 12_900
    assert answer["granularity"] == "hour"
    assert answer["entitlements"]["plan"] == "free"


def test_a_longer_time_is_told_by_the_day(server: Sidecar, tmp_path: Path) -> None:
    code, told, _ = ask(server, tmp_path, "--app", "demo", "--last", "7d", "--json")

    answer = json.loads(told)
    assert (code, answer["granularity"], answer["user_id"]) == (0, "day", None)
    assert "entitlements" not in answer
    assert answer["totals"]["total_tokens"] == 12_900


def test_when_nothing_was_used_the_total_says_so(server: Sidecar, tmp_path: Path) -> None:
    code, told, _ = ask(server, tmp_path, "--app", "demo", "--from", "2026-11-01", "--to",
                        "2026-11-01T06:00:00+02:00")  # fmt: skip

    assert code == 0
    assert told.splitlines()[1].startswith("2026-11-01 00:00 to 2026-11-01 04:00")
    assert told.splitlines()[-1].split() == ["total", "0", "0", "0", "0"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--last", "7w"), "--last '7w': write hours or days"),
        (("--from", "monday"), "--from 'monday': write 2026-11-01"),
        (("--from", "2026-11-01", "--last", "1d"), "give one"),
        (("--by", "color"), "'color' is none of model, workflow, agent, plugin"),
        (("--last", "91d"), "more than 90 days"),
        (("--from", "2999-01-01"), "not before to"),
    ],
)
def test_what_cannot_be_asked_for_is_wrong_use(
    words: tuple[str, ...], said: str, server: Sidecar, tmp_path: Path
) -> None:
    code, told, error = ask(server, tmp_path, "--app", "demo", *words)

    assert (code, told) == (64, "")
    assert said in error


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "Give one with --key, or set SIDECAR_READ_KEYS"),
        ("wrong", "It does not know this one"),
        ("run", "This takes a key of the role internal or read. Give one of its SIDECAR_READ_KEYS"),
        ("a\nb", "a character that no key has"),
    ],
)
def test_a_key_that_does_not_do_is_told_with_what_would(
    key: str, said: str, server: Sidecar, tmp_path: Path
) -> None:
    code, told, error = ask(server, tmp_path, "--app", "demo", key=key)

    assert (code, told) == (3, "")
    assert said in error


def test_where_nobody_listens_it_is_said_where_and_what_to_do(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9", "unix:/nowhere/sidecar.sock"):
        code, _, error = run(tmp_path, "usage", "--app", "demo", "--url", url)
        assert code == 3
        assert error.startswith(f"{url}: cannot be asked")
        assert "Say with --url where it listens" in error
