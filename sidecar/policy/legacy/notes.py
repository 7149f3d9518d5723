"""What of an old configuration was left out, taken for granted or given another name?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.policy.diagnostics import Diagnostic, InvalidFiles
from sidecar.policy.legacy.json_text import JsonFile, Value


class NoteKind(StrEnum):
    """What became of something, as the heading under which it is told."""

    DROPPED = "dropped"
    ASSUMED = "assumed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the reader of the policy has to know.

    Attributes:
        what: its path in the old file, empty where the old file does not say it.
        why: the reason, or what was taken instead.
    """

    kind: NoteKind
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was noticed while an old file is read."""

    file: JsonFile
    wrong: list[Diagnostic] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def refuse(
        self, code: str, message: str, value: Value, *, hint: str = "", key: bool = False
    ) -> None:
        """Note a mistake at a value, or at its key."""
        self.wrong.append(self.file.report(code, message, value, hint=hint, key=key))

    def drop(self, value: Value, why: str) -> None:
        """Note that a value is left out."""
        self.notes.append(Note(NoteKind.DROPPED, value.path, why))

    def assume(self, what: str, why: str) -> None:
        """Note what is taken for granted."""
        self.notes.append(Note(NoteKind.ASSUMED, what, why))

    def rename(self, value: Value, why: str) -> None:
        """Note that a name had to be changed."""
        self.notes.append(Note(NoteKind.RENAMED, value.path, why))

    def settle(self) -> Sequence[Note]:
        """The notes, each once.

        Raises:
            InvalidFiles: something is wrong.
        """
        if self.wrong:
            raise InvalidFiles(self.wrong)
        return tuple(dict.fromkeys(self.notes))


def told(notes: Iterable[Note], kind: NoteKind) -> Sequence[str]:
    """The notes of one kind as lines; what has one reason is told together."""
    by_reason: dict[str, list[str]] = {}
    for note in notes:
        if note.kind is kind:
            by_reason.setdefault(note.why, []).append(note.what)
    return [f"{_listed(what)}{why}" for why, what in by_reason.items()]


def _listed(paths: Sequence[str]) -> str:
    # All of them: what is not named would be lost without a word.
    named = ", ".join(filter(None, paths))
    return f"{named}: " if named else ""
