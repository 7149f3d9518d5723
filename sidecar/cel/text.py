"""What can be done with strings: the standard functions and the strings extension, in code points."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from typing import Any

from sidecar.cel.patterns import BadPattern, compiled
from sidecar.cel.settle import no_overload, settled
from sidecar.cel.values import Failure

MAX_TEXT = 1 << 20
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
# White_Space of Unicode, which is not what str.strip takes away
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_QUOTES = str.maketrans(
    {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    | {"\\": "\\\\", '"': '\\"'}
)


def _strings(function: str, *values: Any) -> None:
    if not all(isinstance(each, str) for each in values):
        raise no_overload(f"{function}()", *values)


def _int(function: str, value: Any) -> int:
    if type(value) is int:
        return value
    raise no_overload(f"{function}()", value)


def size(of: Any) -> int:
    """``size(x)``: code points, bytes, elements or entries."""
    of = settled(of)
    if type(of) in {str, bytes, list, dict}:
        return len(of)
    raise no_overload("size()", of)


def contains(text: Any, part: Any) -> bool:
    """``text.contains(part)``"""
    _strings("contains", text, part)
    return part in text


def starts_with(text: Any, part: Any) -> bool:
    """``text.startsWith(part)``"""
    _strings("startsWith", text, part)
    return bool(text.startswith(part))


def ends_with(text: Any, part: Any) -> bool:
    """``text.endsWith(part)``"""
    _strings("endsWith", text, part)
    return bool(text.endswith(part))


def matches(text: Any, pattern: Any) -> bool:
    """``text.matches(pattern)`` for a pattern that is not seen before run time (unchecked mode only)."""
    _strings("matches", text, pattern)
    try:
        return compiled(pattern).search(text) is not None
    except BadPattern as bad:
        raise Failure(f"not a pattern of RE2: {bad}") from bad


def char_at(text: Any, index: Any) -> str:
    """``text.charAt(index)``; one behind the last is the empty string."""
    _strings("charAt", text)
    if not 0 <= _int("charAt", index) <= len(text):
        raise Failure(f"index {index} is out of range")
    return str(text[index : index + 1])


def index_of(text: Any, part: Any, start: Any = 0) -> int:
    """``text.indexOf(part, start)``"""
    _strings("indexOf", text, part)
    if not 0 <= _int("indexOf", start) <= len(text):
        raise Failure(f"index {start} is out of range")
    return int(text.find(part, start))


def last_index_of(text: Any, part: Any, *start: Any) -> int:
    """``text.lastIndexOf(part, start)``: the last occurrence that begins at ``start`` or before."""
    _strings("lastIndexOf", text, part)
    if not start:
        return int(text.rfind(part))
    if len(start) > 1:
        raise no_overload("lastIndexOf()", *start)
    if not 0 <= _int("lastIndexOf", start[0]) <= len(text):
        raise Failure(f"index {start[0]} is out of range")
    return int(text.rfind(part, 0, start[0] + len(part)))


def lower_ascii(text: Any) -> str:
    """``text.lowerAscii()``"""
    _strings("lowerAscii", text)
    return str(text.translate(_LOWER))


def upper_ascii(text: Any) -> str:
    """``text.upperAscii()``"""
    _strings("upperAscii", text)
    return str(text.translate(_UPPER))


def trim(text: Any) -> str:
    """``text.trim()``"""
    _strings("trim", text)
    return str(text.strip(_SPACE))


def reverse(text: Any) -> str:
    """``text.reverse()``"""
    _strings("reverse", text)
    return str(text[::-1])


def join(texts: Any, between: Any = "") -> str:
    """``list.join(between)``"""
    texts = settled(texts)
    if type(texts) is not list:
        raise no_overload("join()", texts)
    _strings("join", between, *texts)
    return str(between.join(texts))


def split(text: Any, between: Any, limit: Any = -1) -> list[str]:
    """``text.split(between, limit)``: at most ``limit`` parts, the last with the rest."""
    _strings("split", text, between)
    if _int("split", limit) == 0:
        return []
    if between == "":
        if 0 < limit < len(text):
            return [*text[: limit - 1], text[limit - 1 :]]
        return list(text)
    return list(text.split(between, limit - 1 if limit > 0 else -1))


def replace(text: Any, old: Any, new: Any, limit: Any = -1) -> str:
    """``text.replace(old, new, limit)``"""
    _strings("replace", text, old, new)
    times = _int("replace", limit)
    most = len(text) + 1 if old == "" else text.count(old) if len(new) > len(old) else 0
    if len(text) + most * (len(new) - len(old)) > MAX_TEXT:
        raise Failure("the text grows too long")
    return str(text.replace(old, new, times if times >= 0 else -1))


def substring(text: Any, start: Any, *end: Any) -> str:
    """``text.substring(start, end)``"""
    _strings("substring", text)
    if len(end) > 1:
        raise no_overload("substring()", *end)
    stop = _int("substring", end[0]) if end else len(text)
    if not 0 <= _int("substring", start) <= stop <= len(text):
        raise Failure(f"substring from {start} to {stop} is out of range")
    return str(text[start:stop])


def quote(text: Any) -> str:
    """``strings.quote(text)``: as a CEL literal."""
    _strings("strings.quote", text)
    written = str(text.translate(_QUOTES))
    try:
        written.encode()
    except UnicodeEncodeError:
        written = written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return f'"{written}"'


def base64_encode(data: Any) -> str:
    """``base64.encode(bytes)``"""
    if not isinstance(data, bytes):
        raise no_overload("base64.encode()", data)
    return b64encode(data).decode()


def base64_decode(text: Any) -> bytes:
    """``base64.decode(string)``; the padding may be missing."""
    _strings("base64.decode", text)
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (BadBase64, ValueError) as error:
        raise Failure("not base64") from error
