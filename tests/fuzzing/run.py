"""Servers to ask: a process of its own with the platform's policies, with keys and without."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.fuzzing.asking import INTERNAL, READ, RUNTIME, ask
from tests.fuzzing.spoiling import ask_spoilt
from tests.fuzzing.tally import Tally
from tests.processes import Sidecar

_KEYS = {
    "INTERNAL_API_KEY": INTERNAL,
    "SIDECAR_RUNTIME_KEYS": RUNTIME,
    "SIDECAR_READ_KEYS": READ,
}


def ask_server(folder: Path, examples: int, seed: int, *, keyed: bool) -> Tally:
    """Ask a server that is started for it whatever its document allows and forbids."""
    with server(folder, keyed=keyed) as sidecar:
        document = sidecar.client.get("/openapi.json").json()
        tally = ask(document, sidecar.url, examples, seed, keyed=keyed)
        assert sidecar.client.get("/healthz").status_code == 200
    errors = sidecar.errors()
    if "Traceback" in errors:
        tally.failures["a traceback in its log"] = errors[errors.index("Traceback") :][:3000]
    return tally


async def spoil(folder: Path, requests: int, seed: int) -> Tally:
    """Ask a server that is started for it what was right but for one thing."""
    with server(folder, keyed=False) as sidecar:
        async with httpx.AsyncClient(base_url=sidecar.url, timeout=20) as client:
            return await ask_spoilt(client, requests, seed)


@contextmanager
def server(folder: Path, *, keyed: bool) -> Iterator[Sidecar]:
    """One on an empty store, with a key for each role or with none."""
    env = _KEYS if keyed else {}
    with Sidecar(store="sqlite://", cwd=folder, env=env) as sidecar:
        yield sidecar
