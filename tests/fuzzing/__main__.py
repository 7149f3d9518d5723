"""`make fuzz-api`: whatever the OpenAPI document allows and forbids, asked of a running server."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzzing.run import ask_server, spoil
from tests.fuzzing.tally import Tally


def main() -> int:
    """Print what was answered; 1 if anything was not as the document says."""
    parser = argparse.ArgumentParser(prog="make fuzz-api", description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000, help="generated, of all servers")
    parser.add_argument("--seed", type=int, default=20_260_505)
    told = parser.parse_args()
    half, part, seed = -(-told.examples // 2), -(-told.examples // 4), told.seed
    ways: dict[str, Callable[[Path], Tally]] = {
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
    print(f"  {statuses}; {len(tally.failures)} failures", flush=True)
    for what, request in tally.failures.items():
        print(f"\n{what}\n{request}")


if __name__ == "__main__":
    sys.exit(main())
