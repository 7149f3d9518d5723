"""What is a file's text after everything mechanical was repaired in it?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.policy.diagnostics import MOST_FINDINGS, Diagnostic, Fix
from sidecar.policy.load import is_test
from sidecar.policy.price_file import is_price_file
from sidecar.policy.reader import read
from sidecar.policy.source import SourceFile


@dataclass(frozen=True, slots=True)
class Repaired:
    """A file with other text.

    Attributes:
        done: the findings that are no more.
    """

    file: str
    text: str
    done: tuple[Diagnostic, ...]


def repaired(file: str, text: str, findings: Iterable[Diagnostic]) -> Repaired | None:
    """The text with the fixes of its findings; None where none of them can be made.

    A fix that meets another one waits: whoever looks at the file again finds it again. Nothing
    is done that makes a file worse than it was.
    """
    wanted = _apart(found for found in findings if found.fix and found.fix.file == file)
    mistakes = _mistakes(file, text)
    if _is_no_worse(file, _with(text, wanted), mistakes):
        return Repaired(file, _with(text, wanted), tuple(wanted)) if wanted else None
    done: list[Diagnostic] = []
    for found in wanted[:MOST_FINDINGS]:
        if _is_no_worse(file, _with(text, [*done, found]), mistakes):
            done.append(found)
    return Repaired(file, _with(text, done), tuple(done)) if done else None


def _apart(findings: Iterable[Diagnostic]) -> Sequence[Diagnostic]:
    """Those that touch different characters, from the end of the file to its beginning."""
    chosen: list[Diagnostic] = []
    first = None
    for found in sorted(findings, key=_position, reverse=True):
        if first is None or _fix(found).end < first:
            chosen.append(found)
            first = _fix(found).start
    return chosen


def _position(found: Diagnostic) -> tuple[int, int]:
    return _fix(found).start, _fix(found).end


def _fix(found: Diagnostic) -> Fix:
    assert found.fix is not None, "only findings that have one come here"
    return found.fix


def _with(text: str, findings: Sequence[Diagnostic]) -> str:
    pieces: list[str] = []
    end = len(text)
    for fix in map(_fix, findings):
        pieces += (text[fix.end : end], fix.replacement)
        end = fix.start
    return "".join(reversed([*pieces, text[:end]]))


def _mistakes(file: str, text: str) -> tuple[bool, int, int]:
    """Whether a text cannot be read, how often it is no YAML that is taken, and what is wrong."""
    source = SourceFile(file, text)
    is_policy = not is_test(Path(file)) and not is_price_file(source)
    read_as, findings = read(source) if is_policy else (source.root, source.diagnostics)
    return read_as is None, sum(it.code.startswith("A") for it in findings), len(findings)


def _is_no_worse(file: str, text: str, before: tuple[bool, int, int]) -> bool:
    """Whether a text has no more mistakes of any of these kinds; what was no policy hid them."""
    after = _mistakes(file, text)
    return (before[0] and not after[0]) or all(
        now <= then for now, then in zip(after, before, strict=True)
    )
