"""What runs inside Redis?"""

import hashlib
from importlib.resources import files


class Script:
    """A Lua script with what stands in front of it, known to the server by its digest."""

    def __init__(self, *names: str) -> None:
        folder = files("sidecar.adapters.redis")
        self.name = names[-1]
        self.text = "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
