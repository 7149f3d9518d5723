"""Servers to ask: a process of its own with the platform's policies, with keys and without."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.fuzzing.asking import INTERNAL, READ, RUNTIME, ask
from tests.fuzzing.spoiling import ask_spoilt
from tests.fuzzing.tally import Tally
from tests.processes import ROOT, Sidecar, redis_server

_KEYS = {
    "INTERNAL_API_KEY": INTERNAL,
    "SIDECAR_RUNTIME_KEYS": RUNTIME,
    "SIDECAR_READ_KEYS": READ,
}


def ask_server(
    folder: Path, examples: int, seed: int, *, keyed: bool, on_redis: bool = False
) -> Tally:
    """Ask a server that is started for it whatever its document allows and forbids."""
    with server(folder, keyed=keyed, on_redis=on_redis) as sidecar:
        document = sidecar.client.get("/openapi.json").json()
        tally = ask(document, sidecar.url, examples, seed, keyed=keyed)
        assert sidecar.client.get("/healthz").status_code == 200
    errors = sidecar.errors()
    if "Traceback" in errors:
        tally.failures["a traceback in its log"] = errors[errors.index("Traceback") :][:3000]
    return tally


async def spoil(folder: Path, requests: int, seed: int, *, on_redis: bool = False) -> Tally:
    """Ask a server that is started for it what was right but for one thing."""
    with server(folder, keyed=False, on_redis=on_redis) as sidecar:
        async with httpx.AsyncClient(base_url=sidecar.url, timeout=20) as client:
            return await ask_spoilt(client, requests, seed)


@contextmanager
def server(folder: Path, *, keyed: bool, on_redis: bool = False) -> Iterator[Sidecar]:
    """One on an empty store, with a key for each role or with none."""
    env, store = {"SIDECAR_PRICES": str(ROOT / "policies/prices/example.yaml")}, "sqlite://"
    env |= _KEYS if keyed else {}
    with ExitStack() as stack:
        if on_redis:
            store = stack.enter_context(redis_server(folder)).url
            # What a busy machine makes late is no finding.
            env["SIDECAR_STORE_TIMEOUT_MS"] = "5000"
        yield stack.enter_context(Sidecar(store=store, cwd=folder, env=env))
