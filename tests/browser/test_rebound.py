"""A site whose name was made to lead to this machine reads nothing of a server without keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Visit
from tests.processes import Sidecar

ASK = """async () => {
  const read = await fetch("/v1/entitlements?app_id=acme&user_id=ann");
  const page = await fetch("/dashboard");
  const sync = await fetch("/api/internal/subscription/sync", {
    method: "POST", body: JSON.stringify({userId: "ann", plan: "pro", status: "active"})});
  return [read.status, page.status, sync.status, await read.text()];
}"""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A running server without keys."""
    folder: Path = tmp_path_factory.mktemp("rebound")
    with Sidecar(store="sqlite:///./sidecar.db", cwd=folder) as sidecar:
        yield sidecar


def test_a_page_of_this_machine_reads_and_writes(sidecar: Sidecar, visit: Visit) -> None:
    *statuses, told = visit(sidecar.url, "/healthz").evaluate(ASK)

    assert statuses == [200, 200, 200]
    assert '"plan":"free"' in told


def test_a_page_whose_name_was_made_to_lead_here_does_not(sidecar: Sidecar, visit: Visit) -> None:
    port = sidecar.url.rpartition(":")[2]
    page = visit(f"http://evil.rebound.example:{port}", "/healthz", may_complain=True)
    *statuses, told = page.evaluate(ASK)

    assert "ok" in page.content(), "the name does not lead here, so nothing is shown by this"
    assert statuses == [403, 403, 403]
    assert "plan" not in told
    assert "called_by_another_name" in sidecar.errors()
