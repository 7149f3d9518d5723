"""What runs inside Redis?"""

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

PLAIN: Final = ("counters.lua", "amending.lua", "statements.lua", "reports.lua", "ends.lua")
"""What stands in front of each script of the meter."""
LEDGER: Final = (*PLAIN, "counting.lua", "purses.lua", "records.lua", "ledger.lua")
"""The same with what few calls need."""


class Script:
    """A Lua script with what stands in front of it, known to the server by its digest.

    Args:
        names: of the files, in the order in which they stand; the last is the script's own.
        folder: where they lie, unless beside this module.
    """

    def __init__(self, *names: str, folder: Traversable | None = None) -> None:
        folder = folder or files("sidecar.adapters.redis")
        self.name = names[-1]
        self.text = "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
