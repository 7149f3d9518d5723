"""How is the text of an expression written in its file, and where does each character stand?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Writing:
    """Where an expression stands; small enough to be kept with what it compiles to.

    Attributes:
        line, column: of its first character, from 1.
        is_block: whether its lines stand below one another, each from that column on.
        edges: in quotes, where each of its characters begins, as columns beyond the first; empty
            where every character is written as itself.
    """

    line: int
    column: int
    is_block: bool = False
    edges: tuple[int, ...] = ()

    def at(self, text: str, offset: int) -> tuple[int, int]:
        """Line and column of a character of the text, or of its end."""
        if self.is_block:
            line_start = text.rfind("\n", 0, offset) + 1
            return self.line + text.count("\n", 0, offset), self.column + offset - line_start
        if self.edges:
            offset = self.edges[min(offset, len(self.edges) - 1)]
        return self.line, self.column + offset
