"""Where in which file does each value stand?

YAML is read to nodes, not to Python objects, so that every value keeps its place. Plain scalars
are resolved as YAML 1.2 does, and what looks like two numbers is text: `no` is no boolean, `010`
neither eight nor ten.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import yaml

from sidecar.policy.diagnostics import Diagnostic, Fix
from sidecar.policy.lines import Lines
from sidecar.policy.lines import Place as Place
from sidecar.policy.repairs import repair_of
from sidecar.policy.writing import Writing
from sidecar.policy.yaml_reading import Path as Path
from sidecar.policy.yaml_reading import YamlReading, place_of, walk

MAX_BYTES = 1 << 20
MAX_DIGITS = 19
"""A longer number is no number that any field takes, and is kept as text."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?=[0-9]*\.?[0-9])[0-9]*(\.[0-9]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)")
_CONSTANTS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}
NOUNS = {"Policy": "a policy", "Prices": "a price file", "PolicyTest": "a test file"}
"""What a file is, by its `kind`."""
_WRITTEN_CHARACTERS = {
    "'": re.compile(r"''|."),
    '"': re.compile(r"\\(?:x.{2}|u.{4}|U.{8}|.)|."),
}
"""One character of a quoted scalar, in the ways in which it may be written."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a number or a word as it stands in the file.

    Attributes:
        style: the quote or the sign of its block, empty where it stands plain.
        start, end: characters [start, end) of the file, quotes among them.
        is_key: whether it names what its path leads to.
    """

    value: str
    style: str
    place: Place
    start: int
    end: int
    path: Path
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class _Child:
    """A value with its key, where it has one, and its path as the file has it."""

    node: yaml.Node | None
    key: yaml.ScalarNode | None
    written: Path


class SourceFile(Lines):
    """One file that an operator writes: its text, its nodes, and the diagnostics of its YAML.

    Values that are wrong can be taken out (`prune`), so that the rest can be judged; the
    paths of what stays then count what is left, while messages name what is written.

    Args:
        kind: what it is meant to be, as its `kind` says.
        fraction: makes a value of the text of a number with a point or an exponent.
    """

    def __init__(
        self,
        name: str,
        text: str,
        *,
        kind: str = "Policy",
        fraction: Callable[[str], object] = float,
    ) -> None:
        super().__init__(text)
        self.name = name
        self.kind = kind
        self._fraction = fraction
        self.root: yaml.Node | None = None
        self.diagnostics: list[Diagnostic] = []
        self._pruned: set[Path] = set()
        self._damaged: set[Path] = set()
        self._stand_ins: dict[Path, dict[str | int, object]] = {}
        self._children: dict[int, dict[str | int, _Child]] = {}
        reading = YamlReading(name, self, self.beginning, self._refuse)
        self.root = reading.nodes()
        self.prune(reading.merges)

    @property
    def beginning(self) -> str:
        """What to write into a file that has nothing of the kind."""
        return f"{NOUNS[self.kind]} begins with apiVersion: sidecar/v1 and kind: {self.kind}"

    # -- diagnostics ------------------------------------------------------------------------

    def finding(
        self, code: str, message: str, place: Place, *, hint: str = "", path: Path = ()
    ) -> Diagnostic:
        """A diagnostic at a place of this file."""
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        return Diagnostic(
            code, message, self.name, place.line, place.column, place.length, hint,
            dotted(self._written(path)), line,
            # A test may be right about a name that the policy has wrong.
            fix=None if code == "L4" else self._fix(place, line, hint),
        )  # fmt: skip

    def _fix(self, place: Place, line: str, hint: str) -> Fix | None:
        """What the hint advises for the underlined text, where that can be done blindly."""
        underlined = line[place.column - 1 : place.column - 1 + place.length]
        instead = repair_of(underlined, hint) if hint and underlined else None
        if instead is None:
            return None
        if instead.startswith("!") and re.search(r"(:|-) +$", line[: place.column - 1]):
            # Without quotes it would be a tag.
            if "'" in instead or line[place.column - 1 :].rstrip() != underlined:
                return None
            instead = f"'{instead}'"
        start = self.offset(place.line, place.column)
        return Fix(self.name, start, start + len(underlined), instead)

    def report(
        self, code: str, message: str, path: Path, *, hint: str = "", key: bool = False
    ) -> Diagnostic:
        """A diagnostic at the value of a path, or at its key."""
        return self.finding(code, message, self.place(path, key=key), hint=hint, path=path)

    # -- places -----------------------------------------------------------------------------

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where the value of a path stands, or its key; as much of the path as there is."""
        found, _ = self._find(path)
        if found.node is None:
            return Place(1, 1)
        return place_of(found.key if key and found.key is not None else found.node)

    def node(self, path: Path) -> yaml.Node | None:
        """The node of a path, None if there is none."""
        found, missing = self._find(path)
        return None if missing else found.node

    def scalar(self, path: Path) -> Scalar | None:
        """The scalar of a path, None if there is none."""
        node = self.node(path)
        return self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None

    def scalars(self) -> Iterator[Scalar]:
        """Every scalar of the file, keys among them, from its beginning to its end."""
        for node, path in walk(self.root, ()):
            if isinstance(node, yaml.ScalarNode):
                yield self._scalar(node, path)
            elif isinstance(node, yaml.MappingNode):
                for key, _ in node.value:
                    if isinstance(key, yaml.ScalarNode):
                        yield self._scalar(key, (*path, key.value), is_key=True)

    def span(self, path: Path) -> tuple[int, int] | None:
        """The characters [start, end) of the file in which a value stands, its key among them."""
        found, missing = self._find(path)
        if found.node is None or missing:
            return None
        return self._offset_of(found.key or found.node)[0], self._offset_of(found.node)[1]

    def steps(self, path: Path) -> list[str | int]:
        """The keys of a mapping or the positions of a list."""
        found, missing = self._find(path)
        return [] if missing else list(self._children_of(found.node, found.written))

    def _offset_of(self, node: yaml.Node) -> tuple[int, int]:
        start, end = (
            self.offset(mark.line + 1, mark.column + 1) for mark in (node.start_mark, node.end_mark)
        )
        return start, end

    def _scalar(self, node: yaml.ScalarNode, path: Path, *, is_key: bool = False) -> Scalar:
        start, end = self._offset_of(node)
        return Scalar(node.value, node.style or "", place_of(node), start, end, path, is_key)

    def expression_place(self, path: Path, start: int, end: int) -> Place:
        """Where characters [start, end) of an expression stand in the file."""
        node, writing = self.node(path), self.writing(path)
        if not isinstance(node, yaml.ScalarNode) or writing is None:
            return self.place(path)
        line, column = writing.at(node.value, start)
        last_line, last = writing.at(node.value, end)
        return Place(line, column, max(1, last - column if last_line == line else end - start))

    def writing(self, path: Path) -> Writing | None:
        """How the text of a path is written, None if there is none."""
        node = self.node(path)
        if not isinstance(node, yaml.ScalarNode):
            return None
        line, column = node.start_mark.line, node.start_mark.column
        if node.style == "|":
            block = self.lines[line + 1 :]
            first = next((text for text in block if text.strip()), "")
            return Writing(line + 2, len(first) - len(first.lstrip(" ")) + 1, is_block=True)
        if node.style not in _WRITTEN_CHARACTERS:
            return Writing(line + 1, column + 1)
        written = self.lines[line][column + 1 : node.end_mark.column - 1]
        edges = [match.start() for match in _WRITTEN_CHARACTERS[node.style].finditer(written)]
        edges.append(len(written))
        is_plain = edges[-1] == len(node.value)
        return Writing(line + 1, column + 2, edges=() if is_plain else tuple(edges))

    def awkward_expression(self, path: Path) -> Diagnostic | None:
        """A way of writing text in which a column of the expression is no column of the file."""
        node = self.node(path)
        if not isinstance(node, yaml.ScalarNode):
            return None
        header = self.lines[node.start_mark.line][node.start_mark.column :]
        if node.style == "|":
            if not re.match(r"\|[-+]?[0-9]", header):
                return None
            message = "this block states its indentation"
            return self.report("A6", message, path, hint="write | or |- without a number")
        if node.style == ">" or node.start_mark.line != node.end_mark.line:
            message = "this expression runs over several lines"
            hint = "write it in a block: | after the colon, the expression below, indented"
            return self.report("A6", message, path, hint=hint)
        return None

    # -- values -----------------------------------------------------------------------------

    def plain(self) -> object:
        """What was not pruned, as Python values: dict, list, str, int, float, bool, None."""
        return None if self.root is None else self._plain(self.root, ())

    def prune(self, paths: Iterable[Path]) -> None:
        """Take values out, with their keys."""
        for written in [self._written(path) for path in paths]:
            self._pruned.add(written)
            self._damaged.update(written[:length] for length in range(len(written) + 1))
        self._children.clear()

    def stand_in(self, path: Path, field: str, value: object) -> None:
        """Give a mapping a field that it lacks, so that the rest of it can be judged."""
        self._stand_ins.setdefault(self._written(path), {})[field] = value
        self.excuse((*path, field))

    def excuse(self, path: Path) -> None:
        """Let nobody complain that a value is not there."""
        self._damaged.add(self._written(path))

    def is_damaged(self, path: Path) -> bool:
        """Whether a value at or below a path was pruned, so that its absence says nothing."""
        return self._written(path) in self._damaged

    def names(self) -> set[str]:
        """Ids that something in the file has, pruned or not: of plans, features, limits, rules."""
        found: set[str] = set()
        for node, path in walk(self.root, ()):
            if path[-1:] == ("id",) and isinstance(node, yaml.ScalarNode):
                found.add(node.value)
            elif len(path) == 2 and path[0] == "plans":
                found.update((str(path[1]), f"{path[1]}-tokens-per-month"))
            elif len(path) == 4 and path[0] == "plans" and path[2] == "features":
                found.add(str(path[3]))
        return found

    def _plain(self, node: yaml.Node | None, written: Path) -> object:
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.style else _resolve(node.value, self._fraction)
        children = self._children_of(node, written)
        values = (self._plain(child.node, child.written) for child in children.values())
        if isinstance(node, yaml.SequenceNode):
            return list(values)
        return dict(self._stand_ins.get(written, {})) | dict(zip(children, values, strict=True))

    def _children_of(self, node: yaml.Node | None, written: Path) -> dict[str | int, "_Child"]:
        """What stands in a mapping or a list and was not pruned; of a duplicate key the first."""
        known = self._children.get(id(node))
        if known is not None:
            return known
        children: dict[str | int, _Child] = {}
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and (*written, key.value) not in self._pruned:
                    children.setdefault(key.value, _Child(value, key, (*written, key.value)))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                if (*written, index) not in self._pruned:
                    children[len(children)] = _Child(value, None, (*written, index))
        self._children[id(node)] = children
        return children

    def _find(self, path: Path) -> tuple["_Child", Path]:
        """The value of a path, or the last one on its way, and the steps that are not there."""
        found = _Child(self.root, None, ())
        for position, step in enumerate(path):
            child = self._children_of(found.node, found.written).get(step)
            if child is None:
                return found, path[position:]
            found = child
        return found, ()

    def _written(self, path: Path) -> Path:
        """The path as the file has it: positions in lists count what was pruned too."""
        found, missing = self._find(path)
        return (*found.written, *missing)

    def _refuse(
        self, code: str, message: str, place: Place, hint: str, path: Path, fix: Fix | None
    ) -> None:
        found = self.finding(code, message, place, hint=hint, path=path)
        self.diagnostics.append(found if fix is None else replace(found, fix=fix))


def dotted(path: Path) -> str:
    """A path as people write it: `plans.free.limits[0].max`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _resolve(text: str, fraction: Callable[[str], object]) -> object:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text.lstrip("+-")) <= MAX_DIGITS else text
    if _FLOAT.fullmatch(text):
        return fraction(text)
    return text
