"""Does anything lie between what comparisons leave of a line?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Span:
    """From where to where a value may lie; None is without end."""

    low: Any = None
    high: Any = None
    has_low: bool = True
    has_high: bool = True

    def narrow(self, test: str, value: Any) -> None:
        """Cut off what a comparison excludes."""
        includes = test.endswith("=")
        if test[0] == ">":
            if self.low is None or value > self.low:
                self.low, self.has_low = value, includes
            elif value == self.low:
                self.has_low = self.has_low and includes
        elif self.high is None or value < self.high:
            self.high, self.has_high = value, includes
        elif value == self.high:
            self.has_high = self.has_high and includes

    def is_empty(self) -> bool:
        """Whether nothing lies in it."""
        if self.low is None or self.high is None:
            return False
        return bool(
            self.low > self.high or (self.low == self.high and not (self.has_low and self.has_high))
        )
