"""The short form of `make dashboard`."""

from pathlib import Path

from tests.dashboard.large import measure

EVENTS = 12_000
USERS = 600
GENEROUS = 12.0
"""Times as long: other work on the same cores comes between; what is scanned would show anyway."""


def test_the_page_of_a_large_app_has_its_data_in_one_request_and_soon(tmp_path: Path) -> None:
    found = measure(tmp_path, "sqlite:///./s.db", EVENTS, USERS, rounds=2)

    print(*found.pairs, sep="; ")
    assert f"<dd>{found.tokens:,}</dd>" in found.page
    assert f"of {USERS} running periods." in found.page
    assert found.worst < GENEROUS
