"""`make fuzz-api`, `fuzz-http`, `fuzz-policies`: what nobody should send, and what somebody may.

Whatever the OpenAPI document allows and forbids is asked of a running server, bytes that are nearly
requests are sent to one, and directories that are nearly policies are judged.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzzing.directories import judge_mangled
from tests.fuzzing.framing import send_malformed
from tests.fuzzing.run import ask_server, spoil
from tests.fuzzing.tally import Tally


def main() -> int:
    """Print what was answered; 1 if anything was not as the document says."""
    parser = argparse.ArgumentParser(prog="make fuzz-…", description=__doc__)
    parser.add_argument("what", choices=["api", "http", "policies"], nargs="?", default="api")
    parser.add_argument("--examples", type=int, default=20_000, help="generated, of all servers")
    parser.add_argument("--seed", type=int, default=20_260_505)
    told = parser.parse_args()
    half, part, seed = -(-told.examples // 2), -(-told.examples // 4), told.seed
    of_api: dict[str, Callable[[Path], Tally]] = {
        "generated, without keys": lambda folder: ask_server(folder, half, seed, keyed=False),
        "generated, with keys": lambda folder: ask_server(folder, half, seed, keyed=True),
        "generated, on Redis": lambda folder: ask_server(
            folder, part, seed + 1, keyed=False, on_redis=True
        ),
        "examples with an odd value": lambda folder: asyncio.run(spoil(folder, half, seed)),
        "the same, on Redis": lambda folder: asyncio.run(
            spoil(folder, part, seed + 1, on_redis=True)
        ),
    }
    ways = {
        "api": of_api,
        "http": {
            "bytes that are nearly requests": lambda folder: asyncio.run(
                send_malformed(folder, told.examples, seed)
            )
        },
        "policies": {
            "mangled directories": lambda folder: judge_mangled(folder, told.examples, seed)
        },
    }[told.what]
    failed = False
    for name, way in ways.items():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            tally = way(Path(folder))
        _print(name, tally, time.monotonic() - began)
        failed |= bool(tally.failures)
    return int(failed)


def _print(name: str, tally: Tally, seconds: float) -> None:
    statuses = ", ".join(f"{status}: {n:,}" for status, n in sorted(tally.statuses.items()))
    print(f"{name}: {tally.asked:,} requests, {len(tally.operations)} operations, {seconds:.0f} s")
    if not statuses:
        statuses = ", ".join(f"{name}: {n:,}" for name, n in sorted(tally.operations.items()))
    print(f"  {statuses}; {len(tally.failures)} failures", flush=True)
    for what, request in tally.failures.items():
        print(f"\n{what}\n{request}")


if __name__ == "__main__":
    sys.exit(main())
