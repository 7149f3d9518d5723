"""The client brings nothing of the server, and its types say what it takes."""

import subprocess
import sys
from pathlib import Path

from tests.documents import texts_of
from tests.processes import ROOT

USERS_FILE = """
from sidecar.client import AsyncEntitlements, PaymentRequired, entitled

entitlements = AsyncEntitlements(app_id="acme")


@entitled(entitlements, plugin="search")
async def search(words: str) -> list[str]:
    return [words]


async def chat(user: str) -> str:
    try:
        async with entitlements.reserve(user, model="gpt-4o", output_tokens=800) as held:
            held.add(output_tokens=len(await search("cats")))
    except PaymentRequired as refused:
        return refused.decision.advice
    return "done"
"""

WRONG = """
from sidecar.client import Entitlements, entitled

Entitlements().check("ann", plugn="search")
Entitlements().check(1)


@entitled(Entitlements(), plugin="search")
def search(words: str) -> int:
    return 1


search(2)
"""


def mypy(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "users.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "users.py"],
        cwd=folder,
        env={"MYPYPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_it_imports_nothing_of_the_server() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import sys, sidecar.client; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert "httpx" in listed
    servers = {"starlette", "redis", "celpy", "pydantic", "yaml", "structlog", "uvicorn", "orjson"}
    assert not servers & {name.partition(".")[0] for name in listed}
    ours = {name for name in listed if name.startswith("sidecar.")}
    assert all(name.startswith("sidecar.client") for name in ours)


def test_a_users_file_is_strictly_typed(tmp_path: Path) -> None:
    checked = mypy(tmp_path, USERS_FILE)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_of_the_readme_is_strictly_typed(tmp_path: Path) -> None:
    (example,) = texts_of((ROOT / "README.md").read_text(), "python")

    checked = mypy(tmp_path, example)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_mistake_in_a_users_file_is_found(tmp_path: Path) -> None:
    checked = mypy(tmp_path, WRONG)

    found = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert [line.partition(":")[2].partition(":")[0] for line in found] == ["4", "5", "13"]
