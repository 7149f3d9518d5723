"""`make simulate`: how much memory and time do so many events take?

The events are of 20,000 users over a week; half are reports of use, half recorded decisions.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import orjson

from tests.processes import ROOT
from tests.simulation.course import NEW, OLD, course, line

USERS: Final = 20_000
MOST_MB: Final = 300


def main() -> None:
    """Print the figures; fail where they are worse than what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=USERS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sidecar-simulation-") as folder:
        sys.exit(_run(Path(folder), asked.events, asked.users))


def _run(folder: Path, events: int, users: int) -> int:
    for name, text in (("new", NEW), ("old", OLD)):
        (folder / name).mkdir()
        (folder / name / "policy.yaml").write_text(text)
    file = folder / "events.ndjson"
    with file.open("wb") as opened:
        for event in course(events, seed=1, users=users, span=timedelta(days=7), kinds="du"):
            opened.write(line(event))
    print(f"{events:,} events of {users:,} users, {file.stat().st_size >> 20} MB", flush=True)
    began = time.monotonic()
    command = [
        sys.executable, "-m", "sidecar", "simulate", "--policies", str(folder / "new"),
        "--against", str(folder / "old"), "--events", str(file), "--format", "json",
    ]  # fmt: skip
    # Standard error stays the terminal's, where there is one: the progress is shown there.
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    seconds = time.monotonic() - began
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak_mb, processor_s = taken.ru_maxrss >> 10, taken.ru_utime + taken.ru_stime
    outcome = orjson.loads(done.stdout)
    print(f"{outcome['changed']:,} of {outcome['compared']:,} decisions change, ", end="")
    print(f"for {outcome['users']['changed']:,} users")
    print(
        f"{seconds:.1f} s, {events / seconds:,.0f} events/s, {processor_s:.1f} s of the processor"
    )
    print(f"peak {peak_mb} MB of memory")
    return int(peak_mb >= MOST_MB)


if __name__ == "__main__":
    main()
