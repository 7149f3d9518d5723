"""How is measured without the garbage of others?"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def calm_garbage_collection() -> Iterator[None]:
    """Collect as the server does, for every way alike."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
