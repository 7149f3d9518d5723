"""What came of it: how often each status was answered, and what was not as described."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What came of it.

    Attributes:
        failures: what was wrong, the first of each kind with its request.
    """

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
