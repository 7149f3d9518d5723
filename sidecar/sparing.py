"""How is a library imported without what it would import besides, and nobody here uses?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Import as if these were not installed: for libraries that can do without them.

    What is imported already stays as it is.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # importing None fails, as documented
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
