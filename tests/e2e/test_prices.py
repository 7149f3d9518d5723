"""What a person is told of prices: by `validate`, by `check`, and by a server that reads them."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.commands import sidecar as run
from tests.priced import COST_POLICY
from tests.processes import ROOT, START_S, Sidecar, await_that

PRICES = """
apiVersion: sidecar/v1
kind: Prices
currency: USD
models:
  dear: {input: 100, output: 300}
"""


def sidecar(cwd: Path, *arguments: str, **env: str) -> tuple[int, str, str]:
    return run(cwd, *arguments, env=env)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`policies/` with a limit on cost, and `prices.yaml` beside it."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/policy.yaml").write_text(COST_POLICY)
    (tmp_path / "prices.yaml").write_text(PRICES)
    return tmp_path


def test_validate_reads_a_price_file(folder: Path) -> None:
    code, told, _ = sidecar(folder, "validate", "prices.yaml")

    assert (code, told) == (0, "prices.yaml: 1 price in USD\n")


def test_validate_says_what_is_not_there(folder: Path) -> None:
    code, _, error = sidecar(folder, "validate", "price.yaml")

    assert (code, error) == (3, "price.yaml: there is no such file or directory\n")


def test_validate_shows_every_mistake_of_a_price_file(folder: Path) -> None:
    (folder / "prices.yaml").write_text(PRICES.replace("100", "cheap").replace("300", "-1"))

    code, told, error = sidecar(folder, "validate", "prices.yaml")
    _, as_json, _ = sidecar(folder, "validate", "prices.yaml", "--format", "json")

    assert (code, error) == (3, "2 mistakes\n")
    assert "prices.yaml:6:17: error[B5] expected what a million tokens cost, as 2.50" in told
    assert [found["path"] for found in json.loads(as_json)] == [
        "models.dear.input",
        "models.dear.output",
    ]


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(("--prices", "prices.yaml"), {}), ((), {"SIDECAR_PRICES": "prices.yaml"})],
)
def test_a_limit_on_cost_is_valid_where_there_are_prices(
    arguments: tuple[str, ...], env: Mapping[str, str], folder: Path
) -> None:
    assert sidecar(folder, "validate", "policies", *arguments, **env)[0] == 0


def test_without_prices_a_limit_on_cost_is_a_mistake_that_says_what_to_set(folder: Path) -> None:
    code, told, _ = sidecar(folder, "validate", "policies")

    assert code == 3
    assert "nothing would be limited (name a price file as SIDECAR_PRICES" in told


def test_mistakes_of_prices_come_before_those_of_policies(folder: Path) -> None:
    (folder / "prices.yaml").write_text(PRICES.replace("USD", "dollars"))

    code, told, _ = sidecar(folder, "validate", "policies", "--prices", "prices.yaml")

    assert code == 3
    assert told.startswith("prices.yaml:4:11: error[B4] 'dollars' is not allowed here")


def test_prices_that_are_not_there_are_told_by_name(folder: Path) -> None:
    for command in (("validate", "policies"), ("check", "--app", "a", "--user", "u")):
        code, _, error = sidecar(folder, *command, "--prices", "no.yaml")
        assert (code, error) == (3, "no.yaml: cannot be read: No such file or directory\n")


def test_check_decides_by_what_the_model_costs(folder: Path) -> None:
    asked = (
        "check", "--policies", "policies", "--prices", "prices.yaml",
        "--app", "a", "--user", "u", "--model", "dear", "--tokens",
    )  # fmt: skip

    allowed, _, _ = sidecar(folder, *asked, "3333")
    refused, told, _ = sidecar(folder, *asked, "3334")

    assert (allowed, refused) == (0, 2)
    assert "allows 1,000,000 micro-units of cost this billing month; this request alone" in told
    assert "asks for 1,000,200" in told


def test_a_server_does_not_start_with_prices_that_do_not_load(folder: Path) -> None:
    (folder / "prices.yaml").write_text(PRICES.replace("100", "cheap"))

    code, _, error = sidecar(
        folder, "serve", "--port", "0", "--policies", "policies", "--store", "sqlite://",
        SIDECAR_PRICES="prices.yaml",
    )  # fmt: skip

    assert code == 3
    assert "prices.yaml:6:17: error[B5]" in error


def requested(server: Sidecar) -> set[int]:
    """What fresh connections are told that ten tokens cost."""
    body = {"app_id": "a", "user_id": "u", "model": "dear", "estimate": {"input_tokens": 10}}
    url = f"{server.url}/v1/check"
    answers = [httpx.post(url, json=body, timeout=START_S, verify=False).json() for _ in range(12)]
    return {answer["limits"][0]["requested"] for answer in answers}


@pytest.mark.parametrize("workers", [1, 2])
def test_broken_prices_leave_the_last_good_ones_in_force(workers: int, folder: Path) -> None:
    prices = folder / "prices.yaml"
    with Sidecar(
        policies=folder / "policies",
        store="sqlite:///./data/sidecar.db",
        cwd=folder,
        env={"SIDECAR_PRICES": str(prices)},
        arguments=("--workers", str(workers)),
    ) as server:
        before = requested(server)

        prices.write_text(PRICES.replace("100", "cheap"))
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_error("policies_rejected")
        after_a_broken_edit = requested(server)

        prices.write_text(PRICES.replace("100", "200"))
        server.process.send_signal(signal.SIGHUP)
        await_that(lambda: requested(server) == {2_000}, "all reckon with the new prices")
        errors = server.errors()

    assert (before, after_a_broken_edit) == ({1_000}, {1_000})
    assert f"{prices}:6:17: error[B5]" in errors


def test_the_example_can_be_put_into_service(tmp_path: Path) -> None:
    example = ROOT / "policies/prices/example.yaml"
    env = {"SIDECAR_PRICES": str(example)}
    with Sidecar(store="sqlite://", cwd=tmp_path, env=env) as server:
        report = server.client.get("/v1/usage?app_id=a").json()

    assert report["currency"] == "USD"
