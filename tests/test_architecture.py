"""The walls of the house: who may import whom, and what is written in one place only."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.processes import ROOT

PACKAGE = ROOT / "sidecar"
EXAMPLES = PACKAGE / "examples"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != EXAMPLES)


def containing(pattern: str) -> set[str]:
    found = {path for path in MODULES if re.search(pattern, path.read_text())}
    return {str(path.relative_to(PACKAGE)) for path in found}


def test_imports_follow_the_arrows() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_payment_required_is_written_in_one_file() -> None:
    assert containing(r"\b402\b") == {"domain/modes.py"}


def test_the_environment_is_read_in_one_file() -> None:
    assert containing(r"os\.environ|getenv") == {"settings.py"}


def test_each_driver_has_one_door() -> None:
    assert containing(r"(?m)^\s*(import|from) redis\b") == {"adapters/redis/dial.py"}
    assert containing(r"(?m)^\s*(import|from) hiredis\b") == {"adapters/redis/channel.py"}
    assert containing(r"(?m)^\s*(import|from) httpx\b") == {"adapters/web.py", "client/wire.py"}
    sqlite = containing(r"(?m)^\s*import sqlite3")
    assert sqlite
    assert all(path.startswith("adapters/sqlite/") for path in sqlite)


def test_examples_stand_on_their_own() -> None:
    """They are programs of an operator, who may hold a key of a provider; nothing needs them."""
    assert containing(r"sidecar\.examples|import stripe") == set()
    assert list(EXAMPLES.glob("*.py"))


def test_importing_the_package_opens_nothing(tmp_path: Path) -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.name != "__main__.py"
    ]
    program = (
        "import importlib, os, threading\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == 1\n"
        "assert os.listdir('.') == []\n"
    )

    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)


def test_the_wheel_carries_the_shipped_policies_and_the_scripts(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    policies = ROOT / "policies"
    assert {name for name in names if name.startswith("sidecar/shipped_policies/")} == {
        f"sidecar/shipped_policies/{file.relative_to(policies)}"
        for file in policies.rglob("*")
        if file.is_file()
    }
    scripts = {path.name for path in (PACKAGE / "adapters/redis").glob("*.lua")}
    assert {name.rpartition("/")[2] for name in names if name.endswith(".lua")} == scripts
    pages = {path.name for path in (PACKAGE / "policy/pages").glob("*.md")}
    assert {name.rpartition("/")[2] for name in names if "/policy/pages/" in name} > pages
    assert "sidecar/py.typed" in names


def test_no_test_is_skipped() -> None:
    this = Path(__file__)
    skipping = [
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        if path != this and re.search(r"pytest\.skip|mark\.skip|mark\.xfail", path.read_text())
    ]

    assert skipping == []
