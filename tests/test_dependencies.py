"""Does the package install with what it says that it needs, without extras?"""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.processes import ROOT

PACKAGE = ROOT / "sidecar"
WITH_EXTRA = {PACKAGE / "client/ag2.py": "ag2"}
"""Modules that nothing here imports, for whoever has installed an extra."""
TRACING = sorted((PACKAGE / "adapters/tracing").glob("*.py"))
"""Imported only where requests are traced, which needs the extra otel."""
MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE / "examples" and path not in WITH_EXTRA and path not in TRACING
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Of one release with pydantic, which requires it exactly.
WITHIN = {"pydantic-core": "pydantic"}


def plain(name: str) -> str:
    """A distribution's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None = None) -> set[str]:
    """What the package needs, or one of its extras."""
    needed = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    return {plain(re.split(r"[^\w.-]", each, maxsplit=1)[0]) for each in needed}


def imported(module: Path) -> set[str]:
    """The packages of others that a module imports, wherever in it that stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found.update(name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(name), level=0):
                found.add(name.partition(".")[0])
    return found - sys.stdlib_module_names - {"sidecar"}


def test_whatever_is_imported_is_a_dependency() -> None:
    known = packages_distributions()
    undeclared = {
        f"{module.relative_to(ROOT)} imports {package}"
        for module in MODULES
        for package in imported(module)
        if not {WITHIN.get(plain(each), plain(each)) for each in known[package]} & declared()
    }

    assert undeclared == set()


def test_what_needs_an_extra_needs_no_other_and_is_needed_by_nothing() -> None:
    for module, extra in WITH_EXTRA.items():
        own = declared(extra)
        name = ".".join(module.relative_to(ROOT).with_suffix("").parts)

        assert {plain(package) for package in imported(module)} - declared() == own
        assert not [other for other in MODULES if name in other.read_text(encoding="utf-8")]


def test_every_dependency_is_imported_or_works_behind_one_that_is() -> None:
    known = packages_distributions()
    used = {
        plain(each) for module in MODULES for package in imported(module) for each in known[package]
    }

    # uvicorn is quick by the first; the other has the zones where a system has none.
    assert declared() - used == {"uvloop", "tzdata"}


def test_tracing_needs_its_extra_and_nothing_else_knows_opentelemetry() -> None:
    roots = {package for module in TRACING for package in imported(module)} - {"structlog"}

    assert roots == {"opentelemetry"}
    assert declared("otel") <= {plain(each) for each in packages_distributions()["opentelemetry"]}
    assert [module for module in MODULES if "opentelemetry" in imported(module)] == []
