"""The words of the source text, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidecar.cel.escapes import BadEscape, decode
from sidecar.cel.problems import Problem
from sidecar.cel.values import UINT_MAX, Uint

_SPACE = re.compile(r"(?:[ \t\n\f\r]+|//[^\n]*)+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"`([A-Za-z0-9_.\-/ ]+)`")
_STRING = re.compile(r"([rR][bB]?|[bB][rR]?)?(\"\"\"|'''|\"|')")
_DOUBLE = re.compile(
    r"(?:[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
)
_INTEGER = re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)([uU]?)")
_MARK = re.compile(r"===|!==|==|=~|!~|~=|!=|<=|>=|&&|\|\||\*\*|<>|->|[-+*/%<>=!&|?:.,()\[\]{};]")
_BODY = {
    quote: re.compile(rf"(?:{body})*{quote}", re.DOTALL)
    for quote, body in {
        '"': r'[^"\\\r\n]|\\[^\r\n]',
        "'": r"[^'\\\r\n]|\\[^\r\n]",
        '"""': r'(?!""")[^\\]|\\.',
        "'''": r"(?!''')[^\\]|\\.",
    }.items()
}
_RAW_BODY = {
    quote: re.compile(rf"(?:{body})*{quote}", re.DOTALL)
    for quote, body in {
        '"': r'[^"\r\n]',
        "'": r"[^'\r\n]",
        '"""': r'(?!""").',
        "'''": r"(?!''').",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word: its kind ("name", "quoted", "int", "uint", "double", "string", "bytes", "mark", "end")."""

    kind: str
    text: str
    start: int
    end: int
    value: object = None


def tokens_of(source: str, problems: list[Problem]) -> list[Token]:
    """All words of the source, an "end" last; what cannot be read is reported and skipped."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        if space := _SPACE.match(source, at):
            at = space.end()
            continue
        token = _token_at(source, at, problems)
        if token is None:
            char = source[at]
            if char == "#":
                # What follows is prose: it is skipped as the comment that it was meant to be.
                end = source.find("\n", at)
                end = len(source) if end < 0 else end
                message = "'#' begins no comment"
                problems.append(Problem("syntax", message, at, at + 1, "write //"))
                at = end
                continue
            problems.append(
                Problem("syntax", f"unexpected character {char!r}", at, at + 1, _advice(char))
            )
            at += 1
            continue
        found.append(token)
        at = token.end
    # behind the last word: the line breaks of a block belong to no word
    end = found[-1].end if found else len(source)
    found.append(Token("end", "", end, end))
    return found


def _advice(char: str) -> str:
    if char in "“”„‘’":
        return "write \" or '"
    if char == "`":
        return "backticks enclose a field name: letters, digits and _.-/ only"
    return ""


def _token_at(source: str, at: int, problems: list[Problem]) -> Token | None:
    if opening := _STRING.match(source, at):
        return _string(source, opening, problems)
    if word := _WORD.match(source, at):
        return Token("name", word[0], at, word.end())
    if quoted := _QUOTED.match(source, at):
        return Token("quoted", quoted[1], at, quoted.end())
    if number := _DOUBLE.match(source, at):
        return Token("double", number[0], at, number.end(), float(number[0]))
    if number := _INTEGER.match(source, at):
        return _integer(number, problems)
    if mark := _MARK.match(source, at):
        return Token("mark", mark[0], at, mark.end())
    return None


def _integer(number: re.Match[str], problems: list[Problem]) -> Token:
    unsigned = bool(number[1])
    digits = number[0].rstrip("uU")
    # 2**63 itself passes: the sign before it is only seen by the parser
    value = (
        UINT_MAX + 1 if len(digits) > 40 else int(digits, 16 if digits[:2] in {"0x", "0X"} else 10)
    )
    if value > (UINT_MAX if unsigned else 2**63):
        hint = "" if unsigned or value > UINT_MAX else "write a trailing u for an unsigned integer"
        kind = "unsigned 64-bit" if unsigned else "64-bit"
        problems.append(
            Problem("literal", f"integer too large for {kind}", number.start(), number.end(), hint)
        )
        value = 0
    return Token(
        "uint" if unsigned else "int",
        number[0],
        number.start(),
        number.end(),
        Uint(value) if unsigned else value,
    )


def _string(source: str, opening: re.Match[str], problems: list[Problem]) -> Token:
    prefix, quote = (opening[1] or "").lower(), opening[2]
    start, body_start = opening.start(), opening.end()
    body = (_RAW_BODY if "r" in prefix else _BODY)[quote].match(source, body_start)
    kind = "bytes" if "b" in prefix else "string"
    empty: object = b"" if "b" in prefix else ""
    if body is None:
        line_end = (
            len(source) if len(quote) == 3 else (source.find("\n", body_start) + 1 or len(source))
        )
        problems.append(
            Problem("syntax", f"string is not closed: {quote} is missing", start, start + 1)
        )
        return Token(kind, source[start:line_end], start, max(line_end, body_start), empty)
    text = body[0][: -len(quote)]
    try:
        value: object = decode(text, raw="r" in prefix, as_bytes="b" in prefix)
    except BadEscape as bad:
        place = body_start + bad.start
        problems.append(Problem("literal", bad.message, place, place + bad.length, bad.hint))
        value = empty
    return Token(kind, source[start : body.end()], start, body.end(), value)
