"""A copy of a process that has imported everything is like one that was begun."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.commands import sidecar
from tests.processes import Sidecar, clean_environment
from tests.ready import Copy, can_be_copied


def test_a_copy_has_a_folder_an_environment_and_arguments_of_its_own(tmp_path: Path) -> None:
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        assert sidecar(folder, "init", name)[0] == 0
        assert (folder / name / "policy.yaml").exists()

    code, _, errors = sidecar(tmp_path, "serve", env={"SIDECAR_STORE": "nonsense:"})

    assert (code, "nonsense" in errors) == (3, True)


def test_a_server_that_is_a_copy_is_waited_for_and_told_signals(tmp_path: Path) -> None:
    with Sidecar(store="sqlite://", cwd=tmp_path) as server:
        process = server.process
        assert isinstance(process, Copy)
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        assert Path(f"/proc/{process.pid}/cwd").resolve() == tmp_path
    assert process.returncode == 0

    killed = Sidecar(store="sqlite://", cwd=tmp_path)
    killed.start()
    killed.kill()
    assert killed.process.returncode == -signal.SIGKILL


def test_what_python_reads_at_its_start_is_read_by_a_process_of_its_own(tmp_path: Path) -> None:
    assert can_be_copied(os.environ)
    assert can_be_copied(clean_environment() | {"SIDECAR_STORE": "sqlite://", "COLUMNS": "80"})
    assert not can_be_copied(clean_environment() | {"PYTHONIOENCODING": "ascii"})
    with Sidecar(store="sqlite://", cwd=tmp_path, env={"PYTHONHASHSEED": "1"}) as server:
        assert isinstance(server.process, subprocess.Popen)
