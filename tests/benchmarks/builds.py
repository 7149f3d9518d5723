"""What does a server run: the sources, interpreted, or a compiled wheel of them?"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from tests.benchmarks.cores import family_of
from tests.processes import ROOT


@dataclass(frozen=True, slots=True)
class Build:
    """One of them.

    Attributes:
        folder: that holds the package.
    """

    folder: Path
    is_compiled: bool

    @property
    def env(self) -> dict[str, str]:
        """With which a process finds it before all others."""
        path = os.pathsep.join((str(self.folder), str(ROOT)))
        # Else the folder in which a process is begun would come first.
        return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}

    def demand(self, process: int) -> None:
        """Make sure that a process runs this one.

        Raises:
            AssertionError: it runs another.
        """
        libraries = set()
        for each in family_of(process):
            lines = Path(f"/proc/{each}/maps").read_text().splitlines()
            files = [line.split(maxsplit=5)[5] for line in lines if "/sidecar/" in line]
            libraries |= {file for file in files if ".so" in Path(file).suffixes}
        here = {file for file in libraries if file.startswith(f"{self.folder}/")}
        is_this = here == libraries and bool(here) == self.is_compiled
        assert is_this, f"{process} does not run what is in {self.folder}: {libraries}"


SOURCES: Final = Build(ROOT, is_compiled=False)


def unpacked(wheel: Path, folder: Path) -> Build:
    """A wheel that was compiled for this Python."""
    with ZipFile(wheel) as file:
        file.extractall(folder)
    return Build(folder, is_compiled=True)
