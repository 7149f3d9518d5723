"""A server answers whatever its document allows, and whatever it forbids, as the document says."""

import copy
from pathlib import Path

import pytest

from sidecar.api.openapi import document
from tests.fuzzing.asking import ask
from tests.fuzzing.run import ask_server, server

EXAMPLES = 200
"""For each server; `make fuzz-api` asks many more."""


@pytest.mark.parametrize(
    ("keyed", "on_redis"),
    [(False, False), (True, False), (False, True)],
    ids=["without keys", "with keys", "on Redis"],
)
def test_whatever_is_asked_is_answered_as_the_document_says(
    keyed: bool, on_redis: bool, tmp_path: Path
) -> None:
    tally = ask_server(tmp_path, EXAMPLES, seed=1, keyed=keyed, on_redis=on_redis)

    assert tally.failures == {}
    assert tally.asked >= EXAMPLES
    assert {200, 202, 400, 404, 422} | ({401, 403} if keyed else set()) <= tally.statuses.keys()
    assert not ({500, 502, 503} if on_redis else {500, 502}) & tally.statuses.keys()


def test_a_document_that_is_not_so_is_found_out(tmp_path: Path) -> None:
    wrong = copy.deepcopy(document())
    wrong["paths"] = {path: wrong["paths"][path] for path in ("/v1/check", "/healthz")}
    del wrong["paths"]["/v1/check"]["post"]["responses"]["422"]
    wrong["components"]["schemas"]["Alive"]["properties"]["status"] = {"const": "well"}
    wrong["components"]["schemas"]["Check"]["properties"]["reserve"] = {"type": "string"}

    with server(tmp_path, keyed=False) as sidecar:
        tally = ask(wrong, sidecar.url, 60, 1, keyed=False)

    told = "\n".join(tally.failures)
    assert "POST /v1/check: Undocumented status code: Received: 422" in told
    assert "GET /healthz: Response violates schema" in told
