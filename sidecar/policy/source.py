"""Where in which file does each value stand?

YAML is read to nodes, not to Python objects, so that every value keeps its place. What makes
YAML surprising is refused: duplicate keys, anchors, aliases, tags, merge keys, several
documents. Plain scalars are resolved as YAML 1.2 does, and what looks like two numbers is
text: `no` is no boolean, `010` neither eight nor ten.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import yaml

from sidecar.policy.diagnostics import Diagnostic, Fix
from sidecar.policy.indentation import ODD_START, deeper, odd_start, untabbed
from sidecar.policy.lines import Lines
from sidecar.policy.lines import Place as Place
from sidecar.policy.repairs import repair_of
from sidecar.policy.writing import Writing
from sidecar.policy.yaml_words import UNPRINTABLE, began_earlier, in_plain_words

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_DIGITS = 19
"""A longer number is no number that any field takes, and is kept as text."""

Path = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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
        self._compose()

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
        return _place(found.key if key and found.key is not None else found.node)

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
        for node, path in _walk(self.root, ()):
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
        return Scalar(node.value, node.style or "", _place(node), start, end, path, is_key)

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
        for node, path in _walk(self.root, ()):
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

    # -- reading ----------------------------------------------------------------------------

    def _compose(self) -> None:
        try:
            if not self._is_plain_yaml():
                return
            self.root = yaml.compose(self.text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            self._refuse_syntax(error)
            return
        except yaml.reader.ReaderError as error:
            self._refuse_character(error.position)
            return
        if self.root is None:
            self._refuse("B2", "the file is empty", Place(1, 1), self.beginning)
            return
        for node, path in _walk(self.root, ()):
            self._check_keys(node, path)
            if self.root is None:
                return

    def _is_plain_yaml(self) -> bool:
        depth = documents = 0
        for event in yaml.parse(self.text, Loader=_Loader):
            mark = event.start_mark
            # Every event that the parser makes has a mark; its types only do not say so.
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            if isinstance(event, yaml.AliasEvent):
                message = f"*{event.anchor} is an alias"
                hint = f'write the value out, or "*{event.anchor}" for text that begins with *'
                self._refuse("A3", message, place, hint)
                continue
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    message = "a second document begins here"
                    self._refuse("A3", message, place, "write it into a file of its own")
            if isinstance(event, yaml.NodeEvent):
                if event.anchor is not None:
                    message = f"&{event.anchor} is an anchor"
                    self._refuse("A3", message, place, "leave it out")
                tag = getattr(event, "tag", None)
                if tag is not None:
                    hint = "leave it out: a value has the type that it looks like"
                    if not tag.startswith("tag:"):
                        hint = "text that begins with ! stands in single quotes: '!...'"
                    self._refuse("A3", f"{_short_tag(tag)} is a tag", place, hint)
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    # What nests without end must not be read to its end.
                    self._refuse("A1", f"nested deeper than {MAX_DEPTH} levels", place)
                    return False
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
        return not self.diagnostics

    def _check_keys(self, node: yaml.Node, path: Path) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        seen: dict[str, int] = {}
        merges: set[Path] = set()
        for key, _ in node.value:
            place = _place(key)
            if not isinstance(key, yaml.ScalarNode):
                self._refuse("A2", "this key is no text", place, path=path)
            elif self._begins_oddly(key):
                # Whose field it was meant to be, nobody can say: the rest is not judged.
                self._refuse_odd_start(place.line)
                self.root = None
                return
            elif key.value == "<<" and not key.style:
                self._refuse("A3", "<< is a merge key", place, "write the fields out", path)
                merges.add((*path, key.value))
            elif key.value in seen:
                message = f"{key.value!r} stands twice"
                hint = f"the first is on line {seen[key.value]}; keep one of them"
                self._refuse("A2", message, place, hint, (*path, key.value))
            else:
                seen[key.value] = place.line
        if merges:
            self.prune(merges)

    def _refuse_syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        if error.context_mark is not None and began_earlier(error.problem or ""):
            mark = error.context_mark
        if mark and self._refuse_indentation(error, mark):
            return
        quoted = self._last_quoted(mark.line) if mark else None
        if mark and quoted is not None and quoted.start_mark.line < mark.line:
            # It took the quote of another text for its own.
            hint = f"write the missing quote; as it stands, it ends in line {mark.line + 1}"
            place = Place(quoted.start_mark.line + 1, quoted.start_mark.column + 1)
            self._refuse("A1", "this is not YAML: a quote is not closed in its line", place, hint)
            return
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
        opened = error.context_mark
        if mark and opened and "is not closed" in in_plain_words(str(error.problem), "", 0)[0]:
            # The end of the file stands behind its last line.
            line = "".join(self.lines[mark.line : mark.line + 1])
            if opened.line < mark.line and re.match(r" *[\w.-]+:( |$)", line):
                # The next field was read as a part of the list.
                place = Place(opened.line + 1, opened.column + 1)
        written = [number for number, line in enumerate(self.lines, 1) if line.strip()]
        if written and place.line > written[-1]:
            # The parser noticed it at the end of the file; the last line is where to look.
            place = Place(written[-1], len(self.lines[written[-1] - 1].rstrip()) + 1)
        line = self.lines[place.line - 1]
        if "alphabetic or numeric" in str(error.problem) and line[place.column - 2 :][:1] in "*&":
            place = replace(place, column=place.column - 1)
        words, hint = in_plain_words(str(error.problem or error.context), line, place.column - 1)
        if mark and quoted is not None and quoted.end_mark.column <= mark.column:
            words, hint = "text stands behind a closing quote", "put the whole in single quotes"
        self._refuse("A1", f"this is not YAML: {words}", place, hint)
        if "tab" in words:
            self.diagnostics[-1] = replace(self.diagnostics[-1], fix=self._without_tabs())

    def _refuse_indentation(self, error: yaml.MarkedYAMLError, mark: yaml.Mark) -> bool:
        """Report a line that begins where it should not, if that is what is wrong."""
        odd = odd_start(self.lines, mark.line)
        if odd is not None:
            self._refuse_odd_start(odd + 1)
            return True
        if "mapping values are not allowed" not in str(error.problem):
            return False
        depths = deeper(self.lines, mark.line, mark.column)
        if depths is None:
            return False
        own, meant = depths
        message = "this line is indented deeper than the line above it"
        hint = f"begin it with {meant} spaces"
        self._refuse("A1", message, Place(mark.line + 1, own + 1, mark.column - own), hint)
        return True

    def _begins_oddly(self, key: yaml.ScalarNode) -> bool:
        """Whether an odd space is taken for the beginning of a field, and begins its line."""
        line = self.lines[key.start_mark.line]
        return not key.style and bool(ODD_START.match(key.value) and ODD_START.match(line))

    def _refuse_odd_start(self, line: int) -> None:
        found = ODD_START.match(self.lines[line - 1])
        assert found is not None, "somebody saw it"
        message = "a space begins this line that is no ordinary one, so that it is text"
        place = Place(line, 1, found.end())
        self._refuse("A1", message, place, "indent with ordinary spaces")
        start = self.offset(line, 1)
        fix = Fix(self.name, start, start + found.end(), " " * found.end())
        self.diagnostics[-1] = replace(self.diagnostics[-1], fix=fix)

    def _without_tabs(self) -> Fix | None:
        """The lines that begin with tabs, indented with spaces."""
        mended = untabbed(self.lines)
        changed = [at for at, line in enumerate(self.lines) if mended and mended[at] != line]
        if not changed or mended is None:
            # What YAML takes for the end of a line stood before it, or nobody knows how deep.
            return None
        pieces: list[str] = []
        first = end = self._starts[changed[0]]
        for at in changed:
            pieces += (self.text[end : self._starts[at]], mended[at])
            end = self._starts[at] + len(self.lines[at])
        return Fix(self.name, first + len(self.mark), end + len(self.mark), "".join(pieces))

    def _last_quoted(self, line: int) -> yaml.ScalarToken | None:
        """The quoted text before the place where the parser stopped, if it ends in that line."""
        found: yaml.ScalarToken | None = None
        try:
            for token in yaml.scan(self.text, Loader=_Loader):
                if isinstance(token, yaml.StreamEndToken) or token.start_mark.line > line:
                    break
                if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                    found = token
        except yaml.YAMLError:
            pass
        return found if found is not None and found.end_mark.line == line else None

    def _refuse_character(self, position: int) -> None:
        # The C reader counts bytes and the Python reader characters; both stop at the first.
        wrong = UNPRINTABLE.search(self.text)
        at = position if wrong is None else wrong.start()
        name = f"U+{ord(self.text[at]):04X}" if at < len(self.text) else "character"
        hint = "is this a text file, saved as UTF-8?"
        place = self.place_of(len(self.mark) + at, len(self.mark) + at + 1)
        self._refuse("A1", f"the control character {name} stands here", place, hint)

    def _refuse(
        self, code: str, message: str, place: Place, hint: str = "", path: Path = ()
    ) -> None:
        self.diagnostics.append(self.finding(code, message, place, hint=hint, path=path))


def dotted(path: Path) -> str:
    """A path as people write it: `plans.free.limits[0].max`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _short_tag(tag: str) -> str:
    return "!!" + tag.rpartition(":")[2] if tag.startswith("tag:yaml.org,2002:") else tag


def _place(node: yaml.Node) -> Place:
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(1, length))


def _walk(node: yaml.Node | None, path: Path) -> Iterator[tuple[yaml.Node, Path]]:
    if node is None:
        return
    yield node, path
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _walk(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*path, index))


def _resolve(text: str, fraction: Callable[[str], object]) -> object:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text.lstrip("+-")) <= MAX_DIGITS else text
    if _FLOAT.fullmatch(text):
        return fraction(text)
    return text
