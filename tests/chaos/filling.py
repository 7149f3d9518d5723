"""The disk of the store and of the spool runs full under load, and has room again later.

Where a small file system can be mounted, it is one; elsewhere the kernel refuses the server to make
any file larger (RLIMIT_FSIZE), which a process meets in the same place: in the middle of a write.
"""

import asyncio
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.breaking import CALLERS, POLICY
from tests.chaos.load import Answer, Callers, Ledger, comes_to
from tests.processes import Sidecar

_MB: Final = 1 << 20
_SIZE: Final = 8 * _MB
_PATIENCE_S: Final = 30.0


@dataclass(slots=True)
class Filled:
    """What came of it.

    Attributes:
        kind: which disk it was.
        refused: answers that said no while it was full; all of them 503 that say when to come.
        unclear: answers of that time that were neither taken nor such a refusal.
        back_s: from the moment of room to the first use that was taken.
    """

    kind: str
    refused: int
    unclear: list[Answer]
    back_s: float
    used: tuple[int, int]
    counted: tuple[int, int]


class SmallDisk:
    """A file system of a few megabytes.

    Args:
        folder: on which it is mounted.
    """

    kind = "a tmpfs of 8 MB"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, sidecar: Sidecar) -> None:
        """Take all room that is left."""
        with self._filler.open("wb", buffering=0) as filler:
            piece = bytes(_MB // 4)
            while piece:
                try:
                    filler.write(piece)
                except OSError:
                    piece = piece[: len(piece) // 2]

    def free(self, sidecar: Sidecar) -> None:
        """Give it back."""
        self._filler.unlink()


class BoundFiles:
    """A folder in which the server may make no file larger than it is."""

    kind = "RLIMIT_FSIZE"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, sidecar: Sidecar) -> None:
        """Refuse every byte from now on."""
        _bound(sidecar, 0)

    def free(self, sidecar: Sidecar) -> None:
        """Refuse none."""
        _bound(sidecar, resource.RLIM_INFINITY)


def _bound(sidecar: Sidecar, size: int) -> None:
    pid = sidecar.process.pid
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk | BoundFiles]:
    """The smaller of the two that can be had here."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield BoundFiles(folder)
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def fill_disk(folder: Path, full_s: float) -> Filled:
    """Let the disk be full for so long while callers go on."""
    policies = folder / "policies"
    policies.mkdir(parents=True)
    (policies / "policy.yaml").write_text(POLICY.format(mode="open"))
    with small_disk(folder / "disk") as disk:
        store = f"sqlite:///{disk.folder / 'store.db'}"
        env = {"SIDECAR_SPOOL": str(disk.folder / "spool"), "SIDECAR_STORE_TIMEOUT_MS": "50"}
        with Sidecar(policies=policies, store=store, cwd=folder, env=env) as sidecar:
            callers = Callers(lambda: sidecar.url, folder)
            async with callers.calling(CALLERS) as ledger:
                await _taken(ledger, 0.0)
                await asyncio.to_thread(disk.fill, sidecar)
                began = time.monotonic()
                await asyncio.sleep(full_s)
                over = time.monotonic()
                await asyncio.to_thread(disk.free, sidecar)
                back_s = await _taken(ledger, over) - over
            met = [each for each in ledger.answers if began <= each.began < over]
            refused = [each for each in met if each.status == 503 and each.what != "check"]
            clear = [*refused, *(each for each in met if each.status in (200, 202))]
            used = ledger.used, ledger.requests
            counted = await comes_to(sidecar.url, used)
    unclear = [each for each in met if each not in clear]
    return Filled(disk.kind, len(refused), unclear, back_s, used, counted)


async def _taken(ledger: Ledger, since: float) -> float:
    """When the first use was taken that came since then."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        for each in ledger.answers[-200:]:
            if each.what == "usage" and each.status == 202 and each.began > since:
                return each.ended
        assert time.monotonic() < deadline, "nothing is taken any more"
        await asyncio.sleep(0.01)
