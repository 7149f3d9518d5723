"""`sidecar explain` as a person and a pipeline run it."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.commands import sidecar
from tests.processes import Sidecar, free_port
from tests.unit.world import write

POLICY = """
    mode: enforce
    defaults: {plan: free}
    plans:
      free:
        plugins: {allow: ["*"], deny: ["admin_*"]}
        limits:
          - {id: daily, meter: tokens, max: 1000, window: day, mode: advisory}
          - {id: gpt, meter: requests, max: 5, window: 1h, when: request.model.startsWith("gpt")}
      pro: {extends: free, plugins: ["*"]}
    rules:
      - {id: for-pro, match: {plans: [pro]}, effect: warn, message: Hello.}
      - {id: for-code, match: {plugins: ["code_*"]}, effect: warn, message: Code.}
      - id: large
        when: |
          request.estimated_tokens > 400 &&
            request.user_id != "root"
        effect: deny
        on_error: deny
        status: 403
        message: Too large.
    overrides:
      - {id: launch, for: {apps: [acme]}, limit: daily, max: 2000}
      - {id: others, for: {users: [ann]}, limit: daily, max: 9}
"""
ASKED = ("--policies", "p", "--app", "acme", "--user", "bob", "--plan", "free")
AT = ("--now", "2026-05-05T21:30:00Z")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the policy above in `p`."""
    (tmp_path / "p").mkdir()
    write(tmp_path / "p", POLICY)
    return tmp_path


def test_every_part_has_a_line_with_its_mark_and_its_place(folder: Path) -> None:
    code, told, _ = sidecar(
        folder, "explain", *ASKED, *AT,
        "--plugin", "admin_x", "--tokens", "1500", "--used", "daily=600",
    )  # fmt: skip

    lines = [line.split(maxsplit=2) for line in told.splitlines()]
    assert code == 0
    assert told.splitlines()[0] == "DENY  402  plan free, mode enforce"
    places = {
        " ".join(line[:2]): line[2].split("  ")[-1].strip() for line in lines if len(line) > 2
    }
    assert places["✓ subscription"] == "p/policy.yaml:8"
    assert places["✗ plugin"] == "p/policy.yaml:9"
    assert places["! daily"] == "p/policy.yaml:11"
    assert places["override launch"] == "p/policy.yaml:26"
    assert places["~ gpt"] == "p/policy.yaml:12"
    assert places["· for-pro"] == "p/policy.yaml:15"
    assert places["✗ large"] == "p/policy.yaml:17"
    assert "600 used + 1,500 asked > 2,000; day, resets in 2h 30m; advisory" in told
    assert "override launch  2,000 instead of 1,000, holds" in told
    assert "override others  not applied: for user ann, not bob" in told
    assert "its when is true: Too large." in told
    assert "1 of 3 rules looked at, 2 expressions evaluated, worst-case cost " in told
    assert "\x1b" not in told


def test_with_a_trace_each_part_of_a_condition_has_its_value(folder: Path) -> None:
    asked = (*ASKED, *AT, "--tokens", "500")

    _, told, _ = sidecar(folder, "explain", *asked, "--trace")
    _, shorter, _ = sidecar(folder, "explain", *asked)

    steps = {" ".join(line.split()) for line in told.splitlines()}
    assert "request.estimated_tokens > 400 = true p/policy.yaml:19:7" in steps
    assert 'request.user_id = "bob" p/policy.yaml:20:9' in steps
    assert 'request.user_id != "root" = true p/policy.yaml:20:9' in steps
    assert 'request.user_id != "root" = true p/' not in shorter


def test_as_json_it_is_what_the_server_answers(folder: Path) -> None:
    code, told, _ = sidecar(folder, "explain", *ASKED, "--tokens", "500", "--json")

    answer = json.loads(told)
    assert code == 0
    assert answer["decision"]["effect"] == answer["explanation"]["effect"] == "deny"
    assert [rule["state"] for rule in answer["explanation"]["rules"]] == [
        "other_plan",
        "other_plugin",
        "true",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((*ASKED, "--used", "daily"), "--used 'daily': write LIMIT=NUMBER"),
        ((*ASKED, "--used", "dayly=1"), "--used dayly: the plan 'free' has no such limit; it has"),
        ((*ASKED, "--now", "noon"), "--now: not a date and time in ISO 8601"),
        ((*ASKED, "--store", "sqlite://"), "the store knows the plan: give --plan or --store"),
        ((*ASKED, "--attribute", "x=1e999"), "--attribute: a number that is not finite"),
        ((), "--app: Field required; --user: Field required"),
        (("dec_1", "--app", "a"), "a recorded decision is told as it was made: leave out --app"),
    ],
)
def test_wrong_use_is_64_and_called_as_it_was_typed(
    arguments: tuple[str, ...], expected: str, folder: Path
) -> None:
    code, _, error = sidecar(folder, "explain", *arguments)

    assert code == 64
    assert error.splitlines()[-1].startswith(f"Error: {expected}")


# -- recorded decisions -----------------------------------------------------------------------


@pytest.fixture
def server(folder: Path) -> Iterator[Sidecar]:
    """A server that records, and whose callers show a key."""
    keys = {"SIDECAR_RUNTIME_KEYS": "run", "SIDECAR_READ_KEYS": "read", "INTERNAL_API_KEY": "int"}
    env = keys | {"SIDECAR_DECISION_LOG": str(folder / "log")}
    with Sidecar(policies=folder / "p", store="sqlite://", cwd=folder, env=env) as running:
        yield running


def decided(server: Sidecar, **asked: object) -> str:
    """The id of a decision."""
    answer = httpx.post(
        f"{server.url}/v1/check",
        json={"app_id": "acme", "user_id": "bob"} | asked,
        headers={"Authorization": "Bearer run"},
    )
    return str(answer.json()["decision_id"])


def test_a_recorded_decision_is_told_as_it_was_made(server: Sidecar, folder: Path) -> None:
    refused = decided(server, estimated_tokens=1_500, plugin="admin_x")
    url = ("--url", server.url)

    code, told, error = sidecar(folder, "explain", refused, *url, "--key", "read")
    by_setting = sidecar(folder, "explain", refused, *url, env={"SIDECAR_READ_KEYS": "read"})

    assert (code, error) == (0, "")
    assert told.splitlines()[0] == "DENY  402  plan free, mode enforce"
    assert told.splitlines()[1].startswith(f"{refused} of user bob in app acme, 20")
    assert " ✗ plugin admin_x" in told
    assert " ✗ large" in told
    assert "1 of 3 rules looked at" in told
    assert by_setting[1] == told


def test_an_allow_is_told_by_its_numbers(server: Sidecar, folder: Path) -> None:
    allowed = decided(server, estimated_tokens=5)

    code, told, _ = sidecar(folder, "explain", allowed, "--url", server.url, "--key", "read")

    assert code == 0
    assert told.splitlines()[0] == "ALLOW  200  plan free, mode enforce"
    assert " · daily  0 used, 5 asked of 2,000" in told


def test_a_server_that_does_not_tell_says_why(server: Sidecar, folder: Path) -> None:
    url = ("--url", server.url)

    unknown = sidecar(folder, "explain", "dec_none", *url, "--key", "read")
    nobody = sidecar(folder, "explain", "dec_none", *url)
    runtime = sidecar(folder, "explain", "dec_none", *url, "--key", "run")
    silent = sidecar(folder, "explain", "dec_none", "--url", f"http://127.0.0.1:{free_port()}")
    strange = sidecar(folder, "explain", "dec_none", "--url", "ftp://here")

    assert {unknown[0], nobody[0], runtime[0], silent[0], strange[0]} == {3}
    assert "No decision 'dec_none' is known." in unknown[2]
    assert "Give one with --key, or set SIDECAR_READ_KEYS" in nobody[2]
    assert "takes a key of the role internal or read" in runtime[2]
    assert "is `sidecar serve` running there?" in silent[2]
    assert "ftp://here: write http://HOST:PORT" in strange[2]


def test_a_server_on_a_unix_socket_is_asked_there(folder: Path) -> None:
    socket = folder / "s"
    uds = ("--uds", str(socket))
    with (
        Sidecar(policies=folder / "p", store="sqlite://", cwd=folder, arguments=uds) as server,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as client,
    ):
        asked = {"app_id": "acme", "user_id": "bob", "plugin": "admin_x"}
        refused = client.post("http://sidecar/v1/check", json=asked).json()["decision_id"]

        code, told, _ = sidecar(folder, "explain", refused, "--url", server.url)

    assert code == 0
    assert " ✗ plugin admin_x" in told


def test_a_rule_that_could_not_be_evaluated_is_marked_as_unknown_and_not_as_fine(
    tmp_path: Path,
) -> None:
    (tmp_path / "p").mkdir()
    write(
        tmp_path / "p",
        """
        plans: {free: {plugins: ["*"]}}
        rules:
          - id: skipped
            when: int(request.model) > 1
            effect: deny
            on_error: skip
            message: Never.
          - id: refusing
            when: int(request.model) > 1
            effect: deny
            on_error: deny
            message: Never.
        """,
    )

    code, told, _ = sidecar(tmp_path, "explain", *ASKED, *AT, "--model", "gpt")

    marks = {name: mark for mark, name, *_ in map(str.split, told.splitlines()) if len(mark) == 1}
    assert code == 0
    assert (marks["skipped"], marks["refusing"]) == ("?", "!")
