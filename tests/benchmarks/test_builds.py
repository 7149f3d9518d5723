"""What a server runs is known by the libraries that its process has in use."""

import _ctypes
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.benchmarks.builds import SOURCES, Build, unpacked
from tests.benchmarks.symbols import in_python


@pytest.fixture
def wheel(tmp_path: Path) -> Build:
    """One with a library of C in it, whichever."""
    with ZipFile(tmp_path / "one.whl", "w") as file:
        file.write(_ctypes.__file__, "sidecar/pdp.cpython.so")
    return unpacked(tmp_path / "one.whl", tmp_path / "wheel")


@contextmanager
def _using(library: Path | None) -> Iterator[int]:
    """The number of a process that uses a library."""
    command = f"import ctypes; ctypes.CDLL({str(library)!r})\n" if library else ""
    command += "print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.communicate("\n")


def test_a_process_that_uses_libraries_of_a_wheel_runs_it(wheel: Build) -> None:
    with _using(wheel.folder / "sidecar/pdp.cpython.so") as process:
        wheel.demand(process)
        with pytest.raises(AssertionError, match="does not run"):
            SOURCES.demand(process)


def test_a_process_that_uses_none_runs_the_sources(wheel: Build) -> None:
    with _using(None) as process:
        SOURCES.demand(process)
        with pytest.raises(AssertionError, match="does not run"):
            wheel.demand(process)


def test_functions_of_c_are_told_by_their_names_in_python(tmp_path: Path) -> None:
    for name in ("policy/verdict", "policy/limits", "domain/limits"):
        file = tmp_path / f"sidecar/{name}.cpython-311-x86_64-linux-gnu.so"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    code = "(/x/build/__native_e6.c:3)"
    stacks = [
        f"thread (7): MainThread;check (/x/sidecar/pdp.py);CPyPy_verdict___judge {code}"
        f";CPyDef_policy___limits___Counted___of {code};Py_DECREF (/x/object.h:5) 42",
        f"thread (7): MainThread;CPyDef_limits___who {code} 1",
    ]

    assert [*in_python(stacks, tmp_path)] == [
        "thread (7): MainThread;check (/x/sidecar/pdp.py);judge (sidecar/policy/verdict.py)"
        ";Counted.of (sidecar/policy/limits.py);Py_DECREF (/x/object.h:5) 42",
        stacks[1],
    ]


def test_a_wheel_comes_before_the_sources_wherever_a_process_begins(wheel: Build) -> None:
    (wheel.folder / "sidecar/__init__.py").write_text("print('the wheel')")

    said = subprocess.run(
        [sys.executable, "-c", "import sidecar, tests.benchmarks"],
        cwd=SOURCES.folder, env=wheel.env, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip

    assert said == "the wheel\n"
