"""How fast is a policy set made ready? As it goes, or with pauses that leave room for checks.

In one process one thread runs at a time. Whoever compiles thousands of expressions beside checks
does a little, rests, and so never holds them up for long.
"""

import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_BITE_S: Final = 0.001
_REST_S: Final = 0.002
_LONGEST_REST_S: Final = 0.01
_TURN_S: Final = 0.0001
"""How long this thread goes on at most while another one waits for its turn."""
_YOUNG: Final = 2_000
"""New objects after which the garbage collector looks at them: more take longer at a time."""
_NEVER: Final = 1_000_000

_thread = threading.local()
_one_at_a_time = threading.Lock()


def breathe() -> None:
    """Rest for a moment if this thread works at leisure and has not rested for a while.

    Who wakes late has others before him: then he rests longer the next time.
    """
    begun_s: float | None = getattr(_thread, "begun_s", None)
    if begun_s is None or time.perf_counter() < begun_s + _BITE_S:
        return
    rest_s: float = _thread.rest_s
    asleep_s = time.perf_counter()
    time.sleep(rest_s)
    _thread.begun_s = time.perf_counter()
    late_s = _thread.begun_s - asleep_s - rest_s
    _thread.rest_s = min(_LONGEST_REST_S, _REST_S + 4 * late_s)


@contextmanager
def at_leisure() -> Iterator[None]:
    """Let this thread, one of the process at a time, leave room for the others."""
    with _one_at_a_time:
        turn_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
        sys.setswitchinterval(_TURN_S)
        gc.set_threshold(_YOUNG, _NEVER, _NEVER)
        _thread.begun_s, _thread.rest_s = time.perf_counter(), _REST_S
        try:
            yield
        finally:
            _thread.begun_s = None
            # Policies refer nowhere to themselves: they go when nobody has them any more, and a
            # search among hundreds of thousands of objects would stop everybody.
            gc.freeze()
            gc.set_threshold(*thresholds)
            sys.setswitchinterval(turn_s)
