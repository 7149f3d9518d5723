"""Which part of what a finding advises can a machine write by itself?"""

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

_SURE = 0.8
"""How much alike a wrong name and the right one are where nobody would ask."""
_NAME = re.compile(r"[\w.:/@*?-]{3,}")
_OPERATORS = {"=": "==", "and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_WORDS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false",
          "off": "false"}  # fmt: skip


def repair_of(written: str, hint: str) -> str | None:
    """What to write for the underlined text, None where that takes a person.

    Args:
        written: the text that the finding underlines, as it stands in the file.
        hint: what the finding advises.
    """
    for pattern, rewrite in _ADVICE:
        match = pattern.fullmatch(hint)
        if match is not None:
            return rewrite(written, match[1])
    return None


def _renamed(written: str, right: str) -> str | None:
    """`'modee'` becomes `'mode'`."""
    wrong = written.strip("\"'")
    if not _NAME.fullmatch(wrong) or not _NAME.fullmatch(right):
        return None
    alike = SequenceMatcher(None, wrong.lower(), right.lower()).ratio()
    return written.replace(wrong, right) if alike >= _SURE else None


def _operator(written: str, right: str) -> str | None:
    return right if _OPERATORS.get(written) == right else None


def _denied(written: str, right: str) -> str | None:
    """`not a > b` becomes `!(a > b)`."""
    compared = right.removeprefix("!(").removesuffix(")")
    return right if re.fullmatch(rf"not\s*\(?{re.escape(compared)}\)?", written) else None


def _word(written: str, right: str) -> str | None:
    return right if _WORDS.get(written.strip("\"'").lower()) == right else None


def _number(written: str, right: str) -> str | None:
    return right if re.sub(r"[_,\"']", "", written) == right else None


def _list(written: str, right: str) -> str | None:
    return f"[{written}]" if written.strip("\"'") == right.strip('"') else None


def _quoted(written: str, _: str) -> str | None:
    return f'"{written}"' if re.fullmatch(r"[\w.+-]+", written) else None


_ADVICE: Sequence[tuple[re.Pattern[str], Callable[[str, str], str | None]]] = (
    (re.compile(r"did you mean '([^']+)'\?"), _renamed),
    (re.compile(r"write (==|&&|\|\||!)"), _operator),
    (re.compile(r"write (!\(.+\))"), _denied),
    (re.compile(r"write (true|false)"), _word),
    (re.compile(r"write ([0-9]+)"), _number),
    (re.compile(r"write \[([^\]]+)\]"), _list),
    (re.compile(r"(put it in quotes)"), _quoted),
)
"""The words of a hint that can be followed without thinking, and how."""
