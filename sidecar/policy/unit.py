"""One file of a directory while it is compiled: what it says, and what was found wrong in it."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sidecar.cel import Type
from sidecar.domain.modes import Mode
from sidecar.policy.compiled import Origin
from sidecar.policy.conditions import Condition, Scope
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.format import PolicyFile
from sidecar.policy.pace import breathe
from sidecar.policy.source import Path, SourceFile


@dataclass(frozen=True, slots=True)
class Unit:
    """One file that could be read, with the scope of its expressions.

    Attributes:
        mode: the file's mode under the operator's ceiling.
        findings: filled by everything that looks at the file.
        expressions: those that compiled, by their paths.
    """

    source: SourceFile
    file: PolicyFile
    scope: Scope
    mode: Mode
    findings: list[Diagnostic] = field(default_factory=list)
    expressions: dict[Path, Condition] = field(default_factory=dict)

    def origin(self, path: Path, *, key: bool = False) -> Origin:
        """Where a path of this file stands."""
        return Origin(self.source.name, self.source.place(path, key=key).line)

    def where(self, path: Path, *, key: bool = False) -> str:
        """The same in words, for the message of another place."""
        origin = self.origin(path, key=key)
        return f"{origin.file}:{origin.line}"

    def report(
        self, code: str, message: str, path: Path, *, hint: str = "", key: bool = False
    ) -> None:
        """Note a mistake at the value of a path, or at its key."""
        self.findings.append(self.source.report(code, message, path, hint=hint, key=key))

    def lacks(self, path: Path, value: object) -> bool:
        """Whether a field is not there, rather than there and already called wrong."""
        return value is None and not self.source.is_damaged(path)

    def expression(
        self,
        path: Path,
        text: str | None,
        result: Type,
        *,
        present: Collection[tuple[str, ...]] = (),
        before_counting: bool = False,
    ) -> Condition | None:
        """A compiled expression, None where there is none or it is wrong."""
        if text is None:
            return None
        breathe()
        compiled = self.scope.compile(
            self.source, path, text, result, present=present, before_counting=before_counting
        )
        if isinstance(compiled, Condition):
            self.expressions[path] = compiled
            return compiled
        self.findings.extend(compiled)
        return None

    def narrowed(self, own: Mode | None, path: Path) -> Mode:
        """The mode of a limit or rule that may state its own."""
        if own is None:
            return self.mode
        if self.file.mode.narrowed(own) is not own and not self.source.is_damaged(("mode",)):
            message = f"mode {own.value} is stricter than the file's {self.file.mode.value}"
            hint = "a limit or rule may only be milder than its file"
            self.report("J1", message, (*path, "mode"), hint=hint)
        return self.mode.narrowed(own)
