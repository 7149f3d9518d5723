"""What the text between quotes stands for."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.?))",
    re.DOTALL,
)
_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "?": "?",
    '"': '"',
    "'": "'",
    "`": "`",
}


class BadEscape(Exception):
    """An escape sequence that means nothing; offsets count from the start of the text."""

    def __init__(self, message: str, start: int, length: int, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.start, self.length, self.hint = message, start, length, hint


def decode(text: str, *, raw: bool, as_bytes: bool) -> str | bytes:
    """The value of a string or bytes literal.

    Raises:
        BadEscape: a sequence is unknown, or names what is no character.
    """
    if raw or "\\" not in text:
        return _encoded(text) if as_bytes else text
    pieces: list[bytes] = []
    parts: list[str] = []
    at = 0
    for found in _ESCAPE.finditer(text):
        plain = text[at : found.start()]
        at = found.end()
        if as_bytes:
            pieces += (_encoded(plain), _byte(found))
        else:
            parts += (plain, _character(found))
    return b"".join((*pieces, _encoded(text[at:]))) if as_bytes else "".join((*parts, text[at:]))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _byte(found: re.Match[str]) -> bytes:
    simple, pair, short, long, octal, _ = found.groups()
    if simple:
        return _SIMPLE[simple].encode()
    if pair:
        return bytes([int(pair, 16)])
    if octal:
        return bytes([int(octal, 8)])
    if short or long:
        raise BadEscape(
            "\\u and \\U do not occur in bytes",
            found.start(),
            len(found[0]),
            "write \\x and two digits",
        )
    raise _unknown(found)


def _character(found: re.Match[str]) -> str:
    simple, pair, short, long, octal, _ = found.groups()
    if simple:
        return _SIMPLE[simple]
    if octal:
        return chr(int(octal, 8))
    if not (pair or short or long):
        raise _unknown(found)
    code = int(pair or short or long, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise BadEscape(f"U+{code:04X} is not a character", found.start(), len(found[0]))
    return chr(code)


def _unknown(found: re.Match[str]) -> BadEscape:
    sequence = found[0]
    return BadEscape(
        f"unknown escape sequence {sequence}",
        found.start(),
        len(sequence),
        f"write \\{sequence}, or r before the quote for a pattern",
    )
