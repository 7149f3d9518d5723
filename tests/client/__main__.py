"""`make streams`: 1,000 streams; a third is cancelled, the sidecar is killed in the middle."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.client.streams import Streamed, sidecar_is_killed, streams_are_cancelled


def main() -> int:
    """Print what became of them; 0 if each was charged to the token."""
    parser = argparse.ArgumentParser(prog="make streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=1_000)
    count = parser.parse_args().streams
    good = True
    with tempfile.TemporaryDirectory(prefix="streams-") as name:
        for part in ("cancelled", "open", "closed"):
            (Path(name) / part).mkdir()
        good &= _tell("cancelled", streams_are_cancelled(Path(name) / "cancelled", count))
        killed = sidecar_is_killed(Path(name) / "open", count, "open")
        good &= _tell("killed, open", killed) and killed.local > 0 == killed.refused
        killed = sidecar_is_killed(Path(name) / "closed", count, "closed")
        good &= _tell("killed, closed", killed) and killed.refused > 0 == killed.local
    return 0 if good else 1


def _tell(what: str, streamed: Streamed) -> bool:
    print(f"{what}: {streamed}", flush=True)
    return streamed.is_exact


if __name__ == "__main__":
    sys.exit(main())
