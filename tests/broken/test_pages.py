"""Has every code a page that shows the mistake and its repair, and are both as it says?"""

from pathlib import Path

import pytest

from sidecar.policy import pages
from sidecar.policy.codes import CODES
from sidecar.policy.pages import page_of
from tests.broken.pages import findings_of, section


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    written = {file.name for file in Path(pages.__file__).parent.glob("*.md")}

    assert written == {f"{code}.md" for code in CODES}


@pytest.mark.parametrize("code", CODES)
def test_a_page_begins_with_its_code_and_says_why(code: str) -> None:
    assert page_of(code).startswith(f"# {code}: {CODES[code]}\n")
    assert len(section(page_of(code), "Why").split()) >= 15


@pytest.mark.parametrize("code", CODES)
def test_what_a_page_says_to_avoid_is_found(code: str, tmp_path: Path) -> None:
    assert code in {found.code for found in findings_of(section(page_of(code), "Avoid"), tmp_path)}


@pytest.mark.parametrize("code", CODES)
def test_what_a_page_says_to_prefer_is_right(code: str, tmp_path: Path) -> None:
    found = findings_of(section(page_of(code), "Prefer"), tmp_path)

    assert [it for it in found if it.code == code or it.severity == "error"] == []
