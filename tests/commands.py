"""The `sidecar` command as a person types it, in a process of its own."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.processes import clean_environment


def sidecar(
    cwd: Path, *arguments: str, typed: str = "", env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Its exit code, and what it wrote on both outputs; it never ends with a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        cwd=cwd,
        env=clean_environment() | dict(env or {}),
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr
