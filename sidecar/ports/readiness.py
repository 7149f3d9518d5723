"""What has to be so before a process should be asked?"""

from collections.abc import Callable

from sidecar.domain.value import value


@value
class Fact:
    """One thing that a process needs, beside its store.

    Attributes:
        lack: a sentence for whoever asks while it is missing; anybody may.
        holds: whether it is there now; never waits.
    """

    name: str
    lack: str
    holds: Callable[[], bool]
