"""What people write out of habit from other languages, and what it is called here."""

from __future__ import annotations

from collections.abc import Mapping

BINARY_HABITS: Mapping[str, str] = {
    "and": "&&",
    "AND": "&&",
    "&": "&&",
    "or": "||",
    "OR": "||",
    "|": "||",
    "=": "==",
    "===": "==",
    "is": "==",
    "!==": "!=",
    "<>": "!=",
}

# operators that are functions of the left side here, and whether they deny what the function says
METHOD_HABITS: Mapping[str, tuple[str, str]] = {
    "=~": ("", "matches"),
    "~=": ("", "matches"),
    "!~": ("!", "matches"),
    **{each: ("", each) for each in ("matches", "contains", "startsWith", "endsWith")},
    "like": ("", "contains"),
    "starts_with": ("", "startsWith"),
    "ends_with": ("", "endsWith"),
}

RESERVED: Mapping[str, str] = {
    "if": "write condition ? a : b",
    "else": "write condition ? a : b",
    "let": "declare a variable beside the expression",
    "var": "declare a variable beside the expression",
    "const": "declare a constant beside the expression",
    "for": "write list.all(x, ...), list.exists(x, ...) or list.map(x, ...)",
    "while": "write list.all(x, ...), list.exists(x, ...) or list.map(x, ...)",
    "loop": "write list.all(x, ...), list.exists(x, ...) or list.map(x, ...)",
    "return": "an expression is its own result",
    **dict.fromkeys(
        ("as", "break", "continue", "function", "import", "namespace", "package", "void"), ""
    ),
}

# what may follow an expression elsewhere
TRAILING: Mapping[str, str] = {
    ";": "an expression has no ';'",
    "if": "write condition ? a : b",
    "**": "there is no power; multiply",
}

NAMES: Mapping[str, str] = {
    "True": "write true",
    "TRUE": "write true",
    "False": "write false",
    "FALSE": "write false",
    "None": "write null",
    **dict.fromkeys(("yes", "on", "Yes", "On", "YES", "ON"), "write true, or a condition"),
    **dict.fromkeys(("no", "off", "No", "Off", "NO", "OFF"), "write false, or a condition"),
    **dict.fromkeys(("always", "Always", "everything"), "write true, or a condition"),
    **dict.fromkeys(("never", "Never", "nothing"), "write false, or a condition"),
    "nil": "write null",
    "NULL": "write null",
    "undefined": "write null, or has(x.y) to ask whether a member is there",
}

FUNCTIONS: Mapping[str, str] = {
    "len": "write size(x)",
    "length": "write size(x)",
    "count": "write size(x)",
    "includes": "write x.contains(y) for text, y in x for a list",
    "startswith": "write x.startsWith(y)",
    "starts_with": "write x.startsWith(y)",
    "endswith": "write x.endsWith(y)",
    "ends_with": "write x.endsWith(y)",
    "lower": "write x.lowerAscii()",
    "toLowerCase": "write x.lowerAscii()",
    "upper": "write x.upperAscii()",
    "toUpperCase": "write x.upperAscii()",
    "strip": "write x.trim()",
    "any": "write list.exists(x, condition)",
    "some": "write list.exists(x, condition)",
    "every": "write list.all(x, condition)",
    "str": "write string(x)",
    "float": "write double(x)",
    "parseInt": "write int(x)",
    "isinstance": "write type(x) == int",
    "typeof": "write type(x)",
    "min": "write math.least(a, b)",
    "max": "write math.greatest(a, b)",
    "abs": "write math.abs(x)",
    "round": "write math.round(x)",
    "floor": "write math.floor(x)",
    "now": "write now: the time is a variable",
    "match": 'write x.matches("pattern")',
    "test": 'write x.matches("pattern")',
    "get": 'write "key" in x ? x["key"] : default',
    "find": "write x.indexOf(y)",
    **dict.fromkeys(("second", "seconds", "getSecond"), "write x.getSeconds()"),
    **dict.fromkeys(("minute", "minutes", "getMinute"), "write x.getMinutes()"),
    **dict.fromkeys(("hour", "hours", "getHour"), "write x.getHours()"),
    **dict.fromkeys(
        ("weekday", "isoweekday", "dayOfWeek", "day_of_week", "getDay"),
        "write x.getDayOfWeek(): 0 is Sunday",
    ),
    **dict.fromkeys(("day", "getDate"), "write x.getDate(): 1 is the first"),
    **dict.fromkeys(("month", "months"), "write x.getMonth(): 0 is January"),
    **dict.fromkeys(("year", "years", "getYear"), "write x.getFullYear()"),
}

# macros of other languages: their arguments are not looked at, since a variable in them is declared nowhere
LOOP_HABITS = frozenset({"any", "some", "every"})

MEMBERS: Mapping[str, str] = {"length": "write size(x)", "size": "write size(x)"}


def binary_habit(written: str) -> tuple[str, str]:
    """The message and the repair for an operator of another language."""
    return f"'{written}' is not an operator", f"write {BINARY_HABITS[written]}"
