"""How soon is a worker ready, and what does it hold while nobody asks?"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx

from tests.benchmarks.contestants import KEYS
from tests.benchmarks.cores import begun_on, places, resident_mb
from tests.benchmarks.load import POLICIES
from tests.benchmarks.shows import Start
from tests.processes import ROOT, START_S, clean_environment, free_port

_IDLE_S: Final = 1.0
"""Until all that is done after the start has been done."""


def start_once(store: str, home: Path) -> Start:
    """Begin a worker from nothing, look at it, end it."""
    port = free_port()
    command = [sys.executable, "-m", "sidecar", "serve", "--port", str(port), "--store", store]
    env = clean_environment() | KEYS | {"PYTHONPATH": str(ROOT), "SIDECAR_DRAIN_S": "0"}
    begun = time.monotonic()
    command += ["--policies", str(POLICIES)]
    with begun_on(places().server), (home / "starts.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log)
    try:
        ready_s = _await_ready(port, process, begun)
        time.sleep(_IDLE_S)
        return Start(ready_s, resident_mb(process.pid))
    finally:
        process.terminate()
        process.wait(START_S)


def _await_ready(port: int, process: "subprocess.Popen[bytes]", begun: float) -> float:
    with httpx.Client() as client:
        while time.monotonic() - begun < START_S:
            try:
                if client.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    return time.monotonic() - begun
            except httpx.TransportError:
                assert process.poll() is None, "the worker ended"
                time.sleep(0.005)
    raise AssertionError("the worker was not ready in time")
