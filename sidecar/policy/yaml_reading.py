"""What makes a text no plain YAML, and where does that begin?

What makes YAML surprising is refused: duplicate keys, anchors, aliases, tags, merge keys,
several documents, nesting without end. The parser's own complaints are told in plain words.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import yaml

from sidecar.policy.diagnostics import Fix
from sidecar.policy.indentation import ODD_START, deeper, odd_start, untabbed
from sidecar.policy.lines import Lines, Place
from sidecar.policy.yaml_words import UNPRINTABLE, began_earlier, in_plain_words

MAX_DEPTH = 32

Path = tuple[str | int, ...]
Report = Callable[[str, str, Place, str, Path, Fix | None], None]
"""Takes a code, a message, its place, a hint, the path of the value, and a repair."""
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlReading:
    """One reading of a text.

    Args:
        beginning: what to write into a file that is empty.
        report: is told of everything that is wrong.

    Attributes:
        merges: paths of merge keys, which stand for no value.
    """

    def __init__(self, file: str, text: Lines, beginning: str, report: Report) -> None:
        self.merges: list[Path] = []
        self._file = file
        self._text = text
        self._beginning = beginning
        self._report = report
        self._refused = False

    def nodes(self) -> yaml.Node | None:
        """The root, None where there is nothing that can be judged further."""
        try:
            if not self._is_plain_yaml():
                return None
            root = yaml.compose(self._text.text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            self._refuse_syntax(error)
            return None
        except yaml.reader.ReaderError as error:
            self._refuse_character(error.position)
            return None
        if root is None:
            self._refuse("B2", "the file is empty", Place(1, 1), self._beginning)
            return None
        if all(self._check_keys(node, path) for node, path in walk(root, ())):
            return root
        return None

    def _is_plain_yaml(self) -> bool:
        depth = documents = 0
        for event in yaml.parse(self._text.text, Loader=_Loader):
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
        return not self._refused

    def _check_keys(self, node: yaml.Node, path: Path) -> bool:
        """Report wrong keys; whether it is clear all the same which fields are whose."""
        if not isinstance(node, yaml.MappingNode):
            return True
        seen: dict[str, int] = {}
        for key, _ in node.value:
            place = place_of(key)
            if not isinstance(key, yaml.ScalarNode):
                self._refuse("A2", "this key is no text", place, path=path)
            elif self._begins_oddly(key):
                # Whose field it was meant to be, nobody can say: the rest is not judged.
                self._refuse_odd_start(place.line)
                return False
            elif key.value == "<<" and not key.style:
                self._refuse("A3", "<< is a merge key", place, "write the fields out", path)
                self.merges.append((*path, key.value))
            elif key.value in seen:
                message = f"{key.value!r} stands twice"
                hint = f"the first is on line {seen[key.value]}; keep one of them"
                self._refuse("A2", message, place, hint, (*path, key.value))
            else:
                seen[key.value] = place.line
        return True

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
            line = "".join(self._text.lines[mark.line : mark.line + 1])
            if opened.line < mark.line and re.match(r" *[\w.-]+:( |$)", line):
                # The next field was read as a part of the list.
                place = Place(opened.line + 1, opened.column + 1)
        written = [number for number, line in enumerate(self._text.lines, 1) if line.strip()]
        if written and place.line > written[-1]:
            # The parser noticed it at the end of the file; the last line is where to look.
            place = Place(written[-1], len(self._text.lines[written[-1] - 1].rstrip()) + 1)
        line = self._text.lines[place.line - 1]
        if "alphabetic or numeric" in str(error.problem) and line[place.column - 2 :][:1] in "*&":
            place = replace(place, column=place.column - 1)
        words, hint = in_plain_words(str(error.problem or error.context), line, place.column - 1)
        if mark and quoted is not None and quoted.end_mark.column <= mark.column:
            words, hint = "text stands behind a closing quote", "put the whole in single quotes"
        fix = self._without_tabs() if "tab" in words else None
        self._refuse("A1", f"this is not YAML: {words}", place, hint, fix=fix)

    def _refuse_indentation(self, error: yaml.MarkedYAMLError, mark: yaml.Mark) -> bool:
        """Report a line that begins where it should not, if that is what is wrong."""
        odd = odd_start(self._text.lines, mark.line)
        if odd is not None:
            self._refuse_odd_start(odd + 1)
            return True
        if "mapping values are not allowed" not in str(error.problem):
            return False
        depths = deeper(self._text.lines, mark.line, mark.column)
        if depths is None:
            return False
        own, meant = depths
        message = "this line is indented deeper than the line above it"
        hint = f"begin it with {meant} spaces"
        self._refuse("A1", message, Place(mark.line + 1, own + 1, mark.column - own), hint)
        return True

    def _begins_oddly(self, key: yaml.ScalarNode) -> bool:
        """Whether an odd space is taken for the beginning of a field, and begins its line."""
        line = self._text.lines[key.start_mark.line]
        return not key.style and bool(ODD_START.match(key.value) and ODD_START.match(line))

    def _refuse_odd_start(self, line: int) -> None:
        found = ODD_START.match(self._text.lines[line - 1])
        assert found is not None, "somebody saw it"
        message = "a space begins this line that is no ordinary one, so that it is text"
        place = Place(line, 1, found.end())
        start = self._text.offset(line, 1)
        fix = Fix(self._file, start, start + found.end(), " " * found.end())
        self._refuse("A1", message, place, "indent with ordinary spaces", fix=fix)

    def _without_tabs(self) -> Fix | None:
        """The lines that begin with tabs, indented with spaces."""
        mended = untabbed(self._text.lines)
        changed = [at for at, line in enumerate(self._text.lines) if mended and mended[at] != line]
        if not changed or mended is None:
            # What YAML takes for the end of a line stood before it, or nobody knows how deep.
            return None
        pieces: list[str] = []
        text, mark = self._text.text, len(self._text.mark)
        starts = [self._text.offset(at + 1, 1) - mark for at in changed]
        first = end = starts[0]
        for at, start in zip(changed, starts, strict=True):
            pieces += (text[end:start], mended[at])
            end = start + len(self._text.lines[at])
        return Fix(self._file, first + mark, end + mark, "".join(pieces))

    def _last_quoted(self, line: int) -> yaml.ScalarToken | None:
        """The quoted text before the place where the parser stopped, if it ends in that line."""
        found: yaml.ScalarToken | None = None
        try:
            for token in yaml.scan(self._text.text, Loader=_Loader):
                if isinstance(token, yaml.StreamEndToken) or token.start_mark.line > line:
                    break
                if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                    found = token
        except yaml.YAMLError:
            pass
        return found if found is not None and found.end_mark.line == line else None

    def _refuse_character(self, position: int) -> None:
        # The C reader counts bytes and the Python reader characters; both stop at the first.
        wrong = UNPRINTABLE.search(self._text.text)
        at = position if wrong is None else wrong.start()
        name = f"U+{ord(self._text.text[at]):04X}" if at < len(self._text.text) else "character"
        hint = "is this a text file, saved as UTF-8?"
        place = self._text.place_of(len(self._text.mark) + at, len(self._text.mark) + at + 1)
        self._refuse("A1", f"the control character {name} stands here", place, hint)

    def _refuse(
        self,
        code: str,
        message: str,
        place: Place,
        hint: str = "",
        path: Path = (),
        *,
        fix: Fix | None = None,
    ) -> None:
        self._refused = True
        self._report(code, message, place, hint, path, fix)


def walk(node: yaml.Node | None, path: Path) -> Iterator[tuple[yaml.Node, Path]]:
    """Every node below one, itself among them, with its path."""
    if node is None:
        return
    yield node, path
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from walk(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from walk(value, (*path, index))


def place_of(node: yaml.Node) -> Place:
    """Where a node stands; of one over several lines its beginning."""
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Place(start.line + 1, start.column + 1, max(1, length))


def _short_tag(tag: str) -> str:
    return "!!" + tag.rpartition(":")[2] if tag.startswith("tag:yaml.org,2002:") else tag
