"""Every example in the README is run, every setting is in it."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.api.schemas import CheckBody
from sidecar.domain.decision import ReasonCode
from sidecar.domain.modes import Ceiling
from sidecar.policy.lint.inspecting import inspected, warned
from sidecar.policy.load import load
from sidecar.policy.price_file import prices_of
from sidecar.policy.testing import run_tests
from sidecar.settings import Settings, variable
from tests.documents import commands_of, run_command, texts_of
from tests.processes import ROOT, Sidecar

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted(
    page for folder in ("sidecar", "policies", "helm", "tests")
    for page in (ROOT / folder).rglob("README.md")
)]  # fmt: skip


def is_part_of(shown: Any, real: Any) -> bool:
    """Whether all that is shown is there; objects may have more members than are shown."""
    match shown:
        case dict():
            return isinstance(real, dict) and all(
                name in real and is_part_of(value, real[name]) for name, value in shown.items()
            )
        case list():
            return (
                isinstance(real, list)
                and len(shown) == len(real)
                and all(map(is_part_of, shown, real))
            )
        case _:
            return bool(shown == real)


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[tuple[Sidecar, Path]]:
    """A folder that looks like the checkout, and what `make run` serves."""
    for name in ("policies", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    store = "sqlite:///./data/sidecar.db"
    with Sidecar(policies="policies/quickstart", store=store, cwd=tmp_path) as sidecar:
        yield sidecar, tmp_path


def test_every_command_of_the_readme_prints_what_the_readme_shows(
    workplace: tuple[Sidecar, Path],
) -> None:
    sidecar, folder = workplace
    examples = commands_of(README)
    assert len(examples) >= 12

    for command, shown in examples:
        done = run_command(command.replace("http://127.0.0.1:8377", sidecar.url), folder)
        if shown.startswith("{"):
            assert is_part_of(json.loads(shown), json.loads(done.stdout)), (command, done.stdout)
        else:
            assert done.stdout.startswith(shown), (command, done.stdout, done.stderr)


def test_the_server_of_make_run_is_the_one_of_the_examples() -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert "$(BIN)/sidecar serve --policies policies/quickstart\n" in makefile


def test_every_policy_in_the_readme_loads(tmp_path: Path) -> None:
    policies = [text for text in texts_of(README, "yaml") if "kind: Policy\n" in text]
    assert policies
    for index, text in enumerate(policies):
        folder = tmp_path / str(index)
        folder.mkdir()
        (folder / "policy.yaml").write_text(text)
        assert load(folder, ceiling=Ceiling.AS_WRITTEN).plans


def test_the_tests_in_the_readme_hold_for_its_policy_and_miss_a_model(tmp_path: Path) -> None:
    policy, *_ = (text for text in texts_of(README, "yaml") if "kind: Policy\n" in text)
    (tests,) = (text for text in texts_of(README, "yaml") if "kind: PolicyTest\n" in text)
    (tmp_path / "policy.yaml").write_text(policy)
    (tmp_path / "policy_test.yaml").write_text(tests)
    report = run_tests(tmp_path)
    (tmp_path / "policy_test.yaml").write_text(tests.replace(", model: [gpt-4o, claude]", ""))
    without = run_tests(tmp_path)

    assert (len(report.passed), report.is_good) == (12, True), report
    assert not any(result.findings for result in report.results)
    assert [len(result.findings) for result in without.results] == [1, *[0] * 10]


def test_the_policy_in_the_readme_with_its_tests_passes_the_strictest_lint(tmp_path: Path) -> None:
    policy, *_ = (text for text in texts_of(README, "yaml") if "kind: Policy\n" in text)
    (tests,) = (text for text in texts_of(README, "yaml") if "kind: PolicyTest\n" in text)
    (tmp_path / "policy.yaml").write_text(policy)
    (tmp_path / "policy_test.yaml").write_text(tests)
    day = datetime(2026, 5, 9, tzinfo=UTC)

    assert warned(inspected(tmp_path), day, require_tests=True) == ()


def test_every_price_file_in_the_readme_loads() -> None:
    prices = [text for text in texts_of(README, "yaml") if "kind: Prices\n" in text]
    assert prices
    for text in prices:
        assert prices_of(Path("README.md"), text.encode()).count


def test_every_setting_is_in_the_readme_in_its_own_words() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$", README, re.MULTILINE)
    documented = {name: meaning for name, _, meaning in rows}
    expected = {variable(name): field.description for name, field in Settings.model_fields.items()}

    assert documented == expected


def test_every_reason_and_every_field_of_a_check_is_in_the_page_of_bodies() -> None:
    page = (ROOT / "sidecar/api/README.md").read_text()

    for name in [*ReasonCode, *CheckBody.model_fields]:
        assert f"`{name}" in page, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    for link in links:
        path, _, anchor = link.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), link
        assert not anchor or anchor in anchors_of(there.read_text()), link


def anchors_of(document: str) -> set[str]:
    """How headings are called in links."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    }


def test_every_path_is_in_the_readme() -> None:
    table = (ROOT / "sidecar/api/app.py").read_text()
    paths = re.findall(r'(?:post|get)\(\s*"([^"]+)"', table)

    assert len(paths) >= 11
    for path in paths:
        assert path.replace(":path", "") in README, path
