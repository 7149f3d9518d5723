"""What a person is told by `sidecar check` who has asked for something impossible."""

from pathlib import Path

import pytest

from tests.commands import sidecar
from tests.processes import free_port


def check(cwd: Path, *arguments: str) -> tuple[int, str, str]:
    return sidecar(cwd, "check", "--app", "a", "--user", "u", *arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--attribute", "x=" + "[" * 3_000), "--attribute x: nested too deep"),
        (("--attribute", "x=[[[[[]]]]]"), "--attribute: nested deeper than 4 levels"),
        (("--attribute", "x=1e999"), "--attribute: a number that is not finite"),
        (("--tokens", "-5"), "--tokens: Input should be greater than or equal to 0"),
        (("--tokens", "9" * 20), "--tokens: Input should be less than or equal to"),
        (("--plugin", "p" * 257), "--plugin: String should have at most 256 characters"),
        (("--tenant", "t" * 257), "--tenant: String should have at most 256 characters"),
    ],
)
def test_a_wrong_flag_is_called_as_it_was_typed(
    arguments: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    code, _, error = check(tmp_path, *arguments)

    assert code == 64
    assert error.splitlines()[-1].startswith(f"Error: {expected}")


def test_a_store_that_cannot_be_reached_is_told_in_one_line_beside_the_answer(
    tmp_path: Path,
) -> None:
    code, answer, error = check(tmp_path, "--store", f"redis://:s3cr3t@127.0.0.1:{free_port()}/0")

    assert code == 0
    assert answer.startswith("ALLOW")
    assert error.startswith("--store: Redis cannot be reached: ")
    assert error.count("\n") == 1
    assert "s3cr3t" not in error
