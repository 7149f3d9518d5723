"""Which characters of a file are of a value, and which are of nobody but its reader?"""

from bisect import bisect_right

from sidecar.policy.source import Scalar, SourceFile


class Values:
    """Where values stand in a file, and which lines the blocks among them have.

    Attributes:
        blocks: of the line in which a block begins, the line in which it ends.
    """

    def __init__(self, source: SourceFile) -> None:
        text = source.mark + source.text
        scalars = sorted(source.scalars(), key=lambda it: it.start)
        self._starts = [_start(text, scalar) for scalar in scalars]
        self._ends = [scalar.end for scalar in scalars]
        self.blocks = {
            scalar.place.line: source.place_of(scalar.end - 1, scalar.end).line
            for scalar in scalars
            if scalar.style in ("|", ">")
        }

    def hold(self, at: int) -> bool:
        """Whether a character of the file is part of a value or a key."""
        before = bisect_right(self._starts, at) - 1
        return before >= 0 and at < self._ends[before]


def _start(text: str, scalar: Scalar) -> int:
    """Where its own text begins: behind the sign of a block there may be a comment."""
    is_block = scalar.style in ("|", ">")
    return text.find("\n", scalar.start, scalar.end) if is_block else scalar.start
