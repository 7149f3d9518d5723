"""The package stands on its own: what it imports, and that its README tells the truth."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sidecar.cel

ROOM = Path(sidecar.cel.__file__).parent
README = (ROOM / "README.md").read_text(encoding="utf-8")
ALLOWED = {"re2"}


def imported(module: Path) -> set[str]:
    """The full names that a module imports from."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(str(node.module))
    return names


@pytest.mark.parametrize("module", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_a_module_imports_the_standard_library_re2_and_its_own_room_only(module: Path) -> None:
    for name in imported(module):
        top = name.partition(".")[0]
        assert name.startswith("sidecar.cel") or top in sys.stdlib_module_names or top in ALLOWED, (
            name
        )


@pytest.mark.parametrize("module", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_a_module_says_in_its_first_line_which_question_it_answers(module: Path) -> None:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", "?")), docstring.splitlines()[0]


def test_importing_the_package_loads_no_other_engine() -> None:
    script = "import sys, sidecar.cel; print(*sys.modules)"
    root = ROOM.parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"celpy", "lark", "cel", "cel_expr_python"}


@pytest.mark.parametrize(
    "number", range(len(re.findall(r"```python\n(.*?)```", README, re.DOTALL)))
)
def test_an_example_of_the_readme_runs(number: int) -> None:
    exec(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[number], {})


def test_the_readme_names_every_function() -> None:
    from sidecar.cel.library import EXTREMES, FUNCTIONS

    named = {name for name in (*FUNCTIONS, *EXTREMES) if name[0].isalpha()}
    missing = {
        name
        for name in named
        if not re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", README)
    }
    assert missing == set()
