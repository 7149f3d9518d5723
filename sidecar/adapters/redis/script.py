"""What runs inside Redis?"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

PLAIN: Final = ("counters.lua", "amending.lua", "statements.lua", "reports.lua", "ends.lua")
"""What stands in front of each script of the meter that writes use."""
BOOK: Final = ("counting.lua", "purses.lua", "records.lua", "ledger.lua")
"""What stands behind it where everything may happen."""
LEDGER: Final = (*PLAIN, *BOOK)


class Script:
    """A Lua script with what stands in front of it, known to the server by its digest.

    Args:
        names: of the files, in the order in which they stand; the last is the script's own.
        rarely: those behind the first that few calls need. They become the function that the last
            of them is named after: what they make costs nobody else.
        folder: where they lie, unless beside this module.
    """

    def __init__(
        self, *names: str, rarely: Sequence[str] = (), folder: Traversable | None = None
    ) -> None:
        folder = folder or files("sidecar.adapters.redis")
        self.name = names[-1]
        texts = [folder.joinpath(name).read_text("utf-8") for name in names]
        if rarely:
            name = rarely[-1].removesuffix(".lua")
            inside = "\n".join(folder.joinpath(each).read_text("utf-8") for each in rarely)
            texts.insert(1, f"local function {name}()\n{inside}\nreturn {name}()\nend\n")
        self.text = "\n".join(texts)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
