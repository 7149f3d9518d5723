"""Where in a JSON text does each value stand?"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sidecar.policy.diagnostics import Diagnostic, InvalidFiles
from sidecar.policy.files import decoded
from sidecar.policy.source import MAX_DIGITS
from sidecar.policy.yaml_reading import MAX_DEPTH

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_BEFORE_END = re.compile(r",\s*\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_NUMBERS = {"NaN", "Infinity", "-Infinity"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its place.

    Attributes:
        path: `plans.free.price`, for people.
        value: a dict or a list of further ones, or what JSON has beside them.
        start, end: of its characters in the text.
        key: likewise of the key in front of it, where it has one.
    """

    path: str
    value: "dict[str, Value] | list[Value] | str | int | float | bool | None"
    start: int
    end: int
    key: tuple[int, int] | None = None

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        match self.value:
            case dict():
                return "an object"
            case list():
                return "a list"
            case str():
                return f'"{self.value if len(self.value) <= 40 else self.value[:37] + "…"}"'
            case None | True | False:
                return json.dumps(self.value)
            case int() | float():
                return f"{self.value}"


class JsonFile:
    """The text of a JSON file, with the place of each value.

    Raises:
        InvalidFiles: it is no JSON, or nested without end, or has a key twice.
    """

    def __init__(self, file: Path, content: bytes) -> None:
        self.name = str(file)
        self._twice: list[Diagnostic] = []
        text = decoded(file, content)
        if isinstance(text, Diagnostic):
            raise InvalidFiles([text])
        self.text = text.removeprefix("\ufeff")
        # Where each line begins.
        self._begins = [0, *(end.end() for end in re.finditer("\n", self.text))]
        self._refuse_what_is_no_json()
        self._tokens = _TOKEN.finditer(self.text)
        self.root = self._value("", next(self._tokens), None)
        if self._twice:
            raise InvalidFiles(self._twice)

    def report(
        self, code: str, message: str, value: Value, *, hint: str = "", key: bool = False
    ) -> Diagnostic:
        """A diagnostic at a value, or at its key."""
        start, end = value.key if key and value.key is not None else (value.start, value.end)
        return self._finding(code, message, start, end, hint, value.path)

    def _finding(
        self, code: str, message: str, start: int, end: int, hint: str = "", path: str = ""
    ) -> Diagnostic:
        number = bisect_right(self._begins, start)
        begin = self._begins[number - 1]
        end_of_line = self.text.find("\n", begin)
        line = self.text[begin : end_of_line if end_of_line >= 0 else None].rstrip("\r")
        column = start - begin + 1
        length = max(1, min(end - start, len(line) - column + 1))
        return Diagnostic(code, message, self.name, number, column, length, hint, path, line)

    def _refuse_what_is_no_json(self) -> None:
        # Its own reader is quicker to say what is wrong; places of values it does not know.
        depth = 0
        for token in _TOKEN.finditer(self.text):
            depth += (token[0] in "[{") - (token[0] in "]}")
            if depth > MAX_DEPTH:
                message = f"nested deeper than {MAX_DEPTH} levels"
                raise InvalidFiles([self._finding("A1", message, token.start(), token.end())])
        try:
            json.loads(self.text, parse_int=str, parse_float=str)
        except json.JSONDecodeError as error:
            message, hint, at = self._in_plain_words(error)
            wrong = self._finding("A1", f"this is not JSON: {message}", at, at + 1, hint)
            raise InvalidFiles([wrong]) from None

    def _in_plain_words(self, error: json.JSONDecodeError) -> tuple[str, str, int]:
        rest = self.text[error.pos :].lstrip(", \t\r\n")
        at = len(self.text) - len(rest)
        comma = _BEFORE_END.search(self.text[:at])
        if not self.text.strip():
            return "the file is empty", "name a subscription_config.json", 0
        if rest.startswith(("//", "/*", "#")):
            return "a comment", "take it out: JSON has none", at
        if comma and rest.startswith(("}", "]")):
            return "a comma that nothing follows", "take it out", comma.start()
        if rest.startswith("'"):
            return "a single quote", "text stands in double quotes", at
        if error.msg.startswith("Expecting ',' delimiter"):
            return "a comma or a closing bracket is missing here", "", error.pos
        if error.msg.startswith(("Unterminated string", "Invalid control character")):
            return "a quote is not closed in its line", "write the missing quote", error.pos
        if error.msg.startswith("Expecting value"):
            return "a value is expected here", "text stands in double quotes", error.pos
        if error.msg.startswith("Extra data"):
            return "something stands behind its end", "take it out", error.pos
        return error.msg[0].lower() + error.msg[1:], "", error.pos

    def _value(self, path: str, token: re.Match[str], key: tuple[int, int] | None) -> Value:
        start = token.start()
        match token[0]:
            case "{":
                members = dict(self._members(path))
                return Value(path, members, start, self._end, key)
            case "[":
                items = list(self._items(path))
                return Value(path, items, start, self._end, key)
            case text:
                return Value(path, self._scalar(text, token), start, token.end(), key)

    def _members(self, path: str) -> Iterator[tuple[str, Value]]:
        seen: set[str] = set()
        for token in self._tokens:
            self._end = token.end()
            if token[0] == "}":
                return
            if token[0] == ",":
                continue
            name = str(self._scalar(token[0], token))
            next(self._tokens)
            member = f"{path}.{name}" if path else name
            if name in seen:
                message = f"{name!r} stands twice"
                found = self._finding("A2", message, token.start(), token.end(), path=member)
                self._twice.append(found)
            seen.add(name)
            yield name, self._value(member, next(self._tokens), token.span())

    def _items(self, path: str) -> Iterator[Value]:
        count = 0
        for token in self._tokens:
            self._end = token.end()
            if token[0] == "]":
                return
            if token[0] != ",":
                yield self._value(f"{path}[{count}]", token, None)
                count += 1

    def _scalar(self, text: str, token: re.Match[str]) -> str | int | float | bool | None:
        if text in _NO_NUMBERS:
            message = f"this is not JSON: {text} is no number"
            raise InvalidFiles([self._finding("A1", message, token.start(), token.end())])
        if text.lstrip("-").isdecimal() and len(text.lstrip("-")) > MAX_DIGITS:
            return float(text)
        value: str | int | float | bool | None = json.loads(text)
        if isinstance(value, str) and _SURROGATE.search(value):
            message = "this escape is half a character"
            hint = "write the character itself"
            raise InvalidFiles([self._finding("A1", message, token.start(), token.end(), hint)])
        return value
