"""Does every character of a file look like what it is?

A text that turns its direction shows a reviewer other words than the machine reads, and a name
with one Cyrillic letter matches nothing that a keyboard writes. See Unicode TR 36 and 39.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from sidecar.policy.diagnostics import Diagnostic, Fix, Severity
from sidecar.policy.lint.comments import Values
from sidecar.policy.load import Examined
from sidecar.policy.source import SourceFile

_TURNING = "\u202a-\u202e\u2066-\u2069"
_UNSEEN = "\u00ad\u034f\u115f\u1160\u180e\u200b\u2060-\u2064\u3164\ufeff\uffa0"
_BETWEEN = "\u061c\u200c-\u200f"
_STRANGE = re.compile(
    f"[{_TURNING}{_UNSEEN}\U000e0000-\U000e007f]|(?<=[\x00-\x7f])[{_BETWEEN}](?=[\x00-\x7f])"
)
"""What turns text or has no width; marks that other scripts need, only among plain letters."""
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "FULLWIDTH", "MATHEMATICAL")
"""Those whose letters look like one another."""
_LIKE_LATIN = frozenset("АВЕЅІЈКМНОРСТУХаеорсухіјѕԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοѵ")
_MOST = 20
"""Such findings that one file is told of."""


def check(examined: Examined, _: datetime) -> Iterable[Diagnostic]:
    """A1 for a byte order mark, A5 for characters that deceive, in comments as well."""
    for unit in examined.units:
        source = unit.source
        yield from _byte_order_mark(source)
        if not source.text.isascii():
            values = Values(source)
            lines = range(len(source.lines))
            found = (it for number in lines for it in _line(source, values, number))
            yield from (it for it, _ in zip(found, range(_MOST), strict=False))


def _byte_order_mark(source: SourceFile) -> Iterator[Diagnostic]:
    if source.mark:
        message = "a byte order mark begins the file, which other programs read as text"
        found = source.finding("A1", message, source.place_of(1, 2), hint="save it without")
        yield replace(found, severity=Severity.WARNING, fix=Fix(source.name, 0, 1, ""))


def _line(source: SourceFile, values: Values, number: int) -> Iterator[Diagnostic]:
    line = source.lines[number]
    if line.isascii():
        return
    for strange in _STRANGE.finditer(line):
        turns = re.match(f"[{_TURNING}]", strange[0])
        what = "turns the direction of text" if turns else "cannot be seen"
        message = f"the character U+{ord(strange[0]):04X} {what}"
        yield _warning(source, number, strange, message, "take it away")
    strange_letters = {it for it in line if it.isalpha() and not it.isascii()}
    is_written_so = not _LIKE_LATIN.issuperset(strange_letters)
    for word in _WORD.finditer(line):
        if word[0].isascii() or not values.hold(source.offset(number + 1, word.start() + 1)):
            # In a comment nothing is compared with it.
            continue
        scripts = sorted({script for script in map(_script, word[0]) if script})
        if len(scripts) > 1:
            odd = next(letter for letter in word[0] if not letter.isascii())
            message = f"{word[0]!r} mixes {' and '.join(scripts)} letters"
            hint = f"{odd!r} is {unicodedata.name(odd, 'no letter').lower()}"
            yield _warning(source, number, word, message, hint)
        elif not is_written_so and _LIKE_LATIN.issuperset(word[0]):
            # Beside letters that resemble no others, it is a word of its language.
            message = f"{word[0]!r} looks like Latin letters and has none"
            hint = f"{word[0][0]!r} is {unicodedata.name(word[0][0]).lower()}"
            yield _warning(source, number, word, message, hint)


def _script(letter: str) -> str:
    """The script of a letter, capitalized; empty for those that no Latin letter resembles."""
    if letter.isascii():
        return "Latin"
    script = unicodedata.name(letter, "").split(" ")[0]
    return script.capitalize() if script in _SCRIPTS else ""


def _warning(
    source: SourceFile, number: int, match: re.Match[str], message: str, hint: str
) -> Diagnostic:
    start = source.offset(number + 1, match.start() + 1)
    place = source.place_of(start, start + len(match[0]))
    found = source.finding("A5", message, place, hint=hint)
    return replace(found, severity=Severity.WARNING)
