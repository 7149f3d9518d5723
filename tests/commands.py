"""The `sidecar` command as a person types it, in a process of its own."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.processes import clean_environment
from tests.ready import can_be_copied, copy


def sidecar(
    cwd: Path, *arguments: str, typed: str = "", env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Its exit code, and what it wrote on both outputs; it never ends with a traceback."""
    environment = clean_environment() | dict(env or {})
    run = _copied if can_be_copied(environment) else _begun
    code, told, errors = run(cwd, arguments, typed, environment)
    assert "Traceback" not in errors
    return code, told, errors


def _copied(
    cwd: Path, arguments: tuple[str, ...], typed: str, env: Mapping[str, str]
) -> tuple[int, str, str]:
    with (
        tempfile.TemporaryFile("w+") as asked,
        tempfile.TemporaryFile("w+") as told,
        tempfile.TemporaryFile("w+") as errors,
    ):
        asked.write(typed)
        asked.seek(0)
        process = copy(arguments, cwd=cwd, env=env, files=(asked, told, errors))
        try:
            code = process.wait(60)
        finally:
            process.kill()
        told.seek(0)
        errors.seek(0)
        return code, told.read(), errors.read()


def _begun(
    cwd: Path, arguments: tuple[str, ...], typed: str, env: Mapping[str, str]
) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        cwd=cwd,
        env=env,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr
