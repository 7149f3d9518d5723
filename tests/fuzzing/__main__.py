"""`make fuzz-api`: whatever the OpenAPI document allows and forbids, asked of a running server."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzzing.run import ask_server


def main() -> int:
    """Print what was answered; 1 if anything was not as the document says."""
    parser = argparse.ArgumentParser(prog="make fuzz-api", description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000, help="of both servers together")
    parser.add_argument("--seed", type=int, default=20_260_505)
    told = parser.parse_args()
    failed = False
    for keyed in (False, True):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            tally = ask_server(Path(folder), -(-told.examples // 2), told.seed, keyed=keyed)
        statuses = ", ".join(f"{status}: {n:,}" for status, n in sorted(tally.statuses.items()))
        print(f"{'with' if keyed else 'without'} keys: {tally.asked:,} requests to")
        print(
            f"  {len(tally.operations)} operations in {time.monotonic() - began:.0f} s; {statuses}"
        )
        for what, request in tally.failures.items():
            print(f"\n{what}\n{request}")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
