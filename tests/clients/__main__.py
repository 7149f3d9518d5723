"""`make storm` and `make soak`: long forms of what tests show in short."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.clients.soak import soak
from tests.clients.storm import weather


def main() -> int:
    """Print what came of it; 0 if it is as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["storm", "soak"])
    parser.add_argument("--leaving", type=int, default=5_000)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--checks", type=int, default=300_000)
    parser.add_argument("--users", type=int, default=50_000)
    asked = parser.parse_args()
    if asked.what == "soak":
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            return _soak(Path(folder), asked.checks, asked.users)
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        return _storm(Path(folder), asked.leaving, asked.slow)


def _storm(folder: Path, leaving: int, slow: int) -> int:
    found = asyncio.run(
        weather(folder, leaving=leaving, slow=slow, seconds=20.0, rate=100, turns=4)
    )
    for name, phase in (("calm", found.calm), ("storm", found.storm)):
        times = [phase.quantile(part) * 1000 for part in (0.5, 0.99, 1)]
        print(
            f"{name:6} {len(phase.took):,} answers, {len(phase.failed)} failed; "
            f"p50 {times[0]:.1f} ms, p99 {times[1]:.1f} ms, at worst {times[2]:.1f} ms"
        )
    for told in found.told:
        print(f"  {told}")
    ratio = found.storm.quantile(0.99) / found.calm.quantile(0.99)
    print(f"p99 in storm is {ratio:.2f} times that in calm; {found.connections_left} files left")
    return int(ratio > 3 or bool(found.calm.failed or found.storm.failed))


def _soak(folder: Path, checks: int, users: int) -> int:
    found = asyncio.run(soak(folder, checks=checks, users=users))
    print(f"{found.checks:,} checks of {users:,} users, {found.per_second:,.0f} a second")
    shown = found.rss[:: max(1, len(found.rss) // 12)]
    print("resident MiB: " + " ".join(f"{each:.1f}" for each in shown))
    print(f"the second half grows by {found.growth:.2%}; {len(found.failed)} odd answers")
    print("\n".join(found.failed[:3]))
    return int(found.growth >= 0.05 or bool(found.failed))


if __name__ == "__main__":
    sys.exit(main())
