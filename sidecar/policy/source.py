"""Where in which file does each value stand?

YAML is read to nodes, not to Python objects, so that every value keeps its place. What makes
YAML surprising is refused: duplicate keys, anchors, aliases, tags, merge keys, several
documents. Plain scalars are resolved as YAML 1.2 does: `no` is text and `010` is not eight.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import yaml

from sidecar.policy.diagnostics import Diagnostic

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

Path = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line; line and column from 1."""

    line: int
    column: int
    length: int = 1


class SourceFile:
    """One policy file: its text, its nodes, and the diagnostics of its YAML."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.root: yaml.Node | None = None
        self.diagnostics: list[Diagnostic] = []
        self._compose()

    @cached_property
    def lines(self) -> list[str]:
        """The text by lines, without their ends."""
        return re.split(r"\r\n|[\n\r\x85\u2028\u2029]", self.text)

    def finding(
        self, code: str, message: str, place: Place, *, hint: str = "", path: Path = ()
    ) -> Diagnostic:
        """A diagnostic at a place of this file."""
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        return Diagnostic(
            code, message, self.name, place.line, place.column, place.length, hint,
            dotted(path), line,
        )  # fmt: skip

    def report(
        self, code: str, message: str, path: Path, *, hint: str = "", key: bool = False
    ) -> Diagnostic:
        """A diagnostic at the value of a path, or at its key."""
        return self.finding(code, message, self.place(path, key=key), hint=hint, path=path)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where the value of a path stands, or its key; as much of the path as there is."""
        node, last_key = self.root, None
        for step in path:
            child, child_key = _child(node, step)
            if child is None:
                # Schema errors name union branches in their path; those are no nodes.
                continue
            node, last_key = child, child_key
        chosen = last_key if key and last_key is not None else node
        return Place(1, 1) if chosen is None else _place(chosen)

    def node(self, path: Path) -> yaml.Node | None:
        """The node of a path, None if there is none."""
        node = self.root
        for step in path:
            node, _ = _child(node, step)
        return node

    def plain(self) -> object:
        """The file as Python values: dict, list, str, int, float, bool, None."""
        return None if self.root is None else _plain(self.root)

    def expression_place(self, path: Path, start: int, end: int) -> Place:
        """Where characters [start, end) of an expression stand in the file."""
        node = self.node(path)
        if not isinstance(node, yaml.ScalarNode):
            return self.place(path)
        line, column = node.start_mark.line, node.start_mark.column
        if node.style == "|":
            row, offset = node.value.count("\n", 0, start), start
            offset -= node.value.rfind("\n", 0, start) + 1
            line += 1 + row
            first = next((text for text in self.lines[line - row :] if text.strip()), "")
            column = len(first) - len(first.lstrip(" ")) + offset
        elif node.style == "'":
            column += 1 + start + node.value.count("'", 0, start)
        elif node.style == '"':
            column += 1 + start
        else:
            column += start
        return Place(line + 1, column + 1, max(1, end - start))

    def awkward_expression(self, path: Path) -> Diagnostic | None:
        """A way of writing text in which a column of the expression is no column of the file."""
        node = self.node(path)
        if not isinstance(node, yaml.ScalarNode) or node.style == "|":
            return None
        lines = self.lines[node.start_mark.line : node.end_mark.line + 1]
        if node.style == ">" or len(lines) > 1:
            message = "an expression over several lines stands in a | block"
        elif node.style == '"' and "\\" in lines[0][node.start_mark.column : node.end_mark.column]:
            message = "an expression with escapes stands in single quotes or in a | block"
        else:
            return None
        return self.report("A6", message, path)

    def _compose(self) -> None:
        if len(self.text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            self._refuse("A1", f"the file is larger than {MAX_BYTES} bytes", Place(1, 1))
            return
        try:
            events = list(yaml.parse(self.text, Loader=_Loader))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(1, 1) if not mark else Place(mark.line + 1, mark.column + 1)
            self._refuse("A1", f"this is not YAML: {error.problem or error.context}", place)
            return
        except yaml.YAMLError as error:
            self._refuse("A1", f"this is not YAML: {error}".splitlines()[0], Place(1, 1))
            return
        if not self._is_plain_yaml(events):
            return
        self.root = yaml.compose(self.text, Loader=_Loader)
        if self.root is None:
            self._refuse("B2", "the file is empty", Place(1, 1))
            return
        for node, path in _walk(self.root, ()):
            self._check_keys(node, path)

    def _is_plain_yaml(self, events: Sequence[yaml.Event]) -> bool:
        depth = documents = 0
        for event in events:
            mark = event.start_mark
            # Every event that the parser makes has a mark; its types only do not say so.
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            if isinstance(event, yaml.AliasEvent):
                self._refuse("A3", f"alias *{event.anchor}: write the value out", place)
                continue
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    self._refuse("A3", "a second document: one policy a file", place)
            if isinstance(event, yaml.NodeEvent):
                if event.anchor is not None:
                    self._refuse("A3", f"anchor &{event.anchor}: write the value out", place)
                tag = getattr(event, "tag", None)
                if tag is not None and tag != "!":
                    self._refuse(
                        "A3", f"tag {tag}: values have the type that they look like", place
                    )
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth == MAX_DEPTH + 1:
                    self._refuse("A1", f"nested deeper than {MAX_DEPTH} levels", place)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
        return not self.diagnostics

    def _check_keys(self, node: yaml.Node, path: Path) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        seen: dict[str, int] = {}
        for key, _ in node.value:
            place = _place(key)
            if not isinstance(key, yaml.ScalarNode):
                self._refuse("A2", "a key must be text", place, path)
            elif key.value == "<<" and not key.style:
                self._refuse("A3", "merge key <<: write the fields out", place, path)
            elif key.value in seen:
                message = f"duplicate key {key.value!r}: it stands on line {seen[key.value]} too"
                self._refuse("A2", message, place, (*path, key.value))
            else:
                seen[key.value] = place.line

    def _refuse(self, code: str, message: str, place: Place, path: Path = ()) -> None:
        self.diagnostics.append(self.finding(code, message, place, path=path))


def dotted(path: Path) -> str:
    """A path as people write it: `plans.free.limits[0].max`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _child(
    node: yaml.Node | None, step: str | int
) -> tuple[yaml.Node | None, yaml.ScalarNode | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], None
    return None, None


def _place(node: yaml.Node) -> Place:
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(1, length))


def _walk(node: yaml.Node, path: Path) -> Iterator[tuple[yaml.Node, Path]]:
    yield node, path
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _walk(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*path, index))


def _plain(node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value) for value in node.value]
    if not isinstance(node, yaml.ScalarNode) or node.style:
        return node.value
    return _resolve(node.value)


def _resolve(text: str) -> object:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= 20 else text
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
