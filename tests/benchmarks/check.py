"""`make bench`: what does a check cost beside a bare echo of the same body?

Each check holds, and the commit after it counts as a request too. Alternating rounds in one run,
each server on its own port and asked who it is; medians and spread. Read the ratios: absolute
figures are this machine's.
"""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.processes import ROOT, Sidecar, free_port, redis_server

ROUNDS = 10
SECONDS = 3
CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("check.lua")


def main() -> None:
    """Print the table."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install -y wrk")
    rates: dict[str, list[float]] = defaultdict(list)
    p99s: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = _start(stack, folder)
        for _ in range(ROUNDS):
            for name, url in servers.items():
                rate, p99 = _round(url)
                rates[name].append(rate)
                p99s[name].append(p99)
    echo = statistics.median(rates["echo"])
    print(f"{'server':16} {'requests/s':>10} {'spread':>15} {'p99 ms':>7} {'of echo':>8}")
    for name, measured in rates.items():
        median = statistics.median(measured)
        spread = f"{min(measured):.0f}-{max(measured):.0f}"
        p99 = statistics.median(p99s[name])
        print(f"{name:16} {median:10.0f} {spread:>15} {p99:7.2f} {median / echo:8.2f}")


def _start(stack: ExitStack, folder: Path) -> dict[str, str]:
    urls = {"echo": _echo(stack)}
    redis = stack.enter_context(redis_server(_made(folder / "redis")))
    recorded = {"SIDECAR_DECISION_LOG": str(folder / "decisions")}
    ways: dict[str, tuple[str, dict[str, str]]] = {
        "check on redis": (redis.url, {}),
        "… recorded": (redis.url, recorded),
        "… beside shadow": (
            redis.url,
            {"SIDECAR_SHADOW_POLICIES": str(ROOT / "policies/platform")},
        ),
        "check on sqlite": ("sqlite:///./data/sidecar.db", {}),
    }
    for name, (store, env) in ways.items():
        home = _made(folder / name.replace(" ", "-"))
        urls[name] = stack.enter_context(Sidecar(store=store, cwd=home, env=env)).url
    for name, url in urls.items():
        told = httpx.get(f"{url}/healthz").json()["status"]
        assert told == ("echo" if name == "echo" else "ok"), (name, told)
    return urls


def _echo(stack: ExitStack) -> str:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.echo:app", "--port", str(port)]
    process = subprocess.Popen([*command, "--no-access-log", "--log-level", "error"], cwd=ROOT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/healthz")
            return url
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the echo did not start")


def _round(url: str) -> tuple[float, float]:
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS}",
        "--latency",
        "-s",
        str(SCRIPT),
        url,
    ]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in shown, shown
    rate = re.search(r"Requests/sec:\s+([\d.]+)", shown)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", shown)
    assert rate is not None, shown
    assert p99 is not None, shown
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return float(rate[1]), float(p99[1]) * unit


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
