"""`sidecar lint`: what is wrong with policies, and what is legal but surely not meant?"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from sidecar.cli.findings import exit_code, format_option, tell
from sidecar.cli.inspection import Inspection, inspection_of
from sidecar.cli.options import prices_option
from sidecar.policy.diagnostics import Diagnostic, in_order
from sidecar.policy.files import rewrite, text_of
from sidecar.policy.lint.fixes import repaired
from sidecar.policy.lint.inspecting import warned

_ROUNDS = 10
"""Times that a file is looked at again after it was repaired: a repair may uncover another."""
_SHOWN = 60
"""Characters that are shown of what was repaired."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@format_option
@prices_option
@click.option("--strict", is_flag=True, help="Exit 5 where there are warnings.")
@click.option("--fix", is_flag=True, help="Repair in the files what is mechanical.")
@click.option("--require-tests", is_flag=True, help="Warn of what no test is about.")
@click.pass_context
def lint(
    context: click.Context,
    path: Path,
    form: str,
    prices: Path | None,
    strict: bool,
    fix: bool,
    require_tests: bool,
) -> None:
    """Show what `validate` shows and, where there is no mistake, what is surely not meant.

    A comment `# lint:ignore CODE reason` behind a line or above it takes a warning back.
    """
    inspection, findings = _look(path, prices, require_tests=require_tests)
    for _ in range(_ROUNDS if fix else 0):
        if not _repair(findings):
            break
        inspection, findings = _look(path, prices, require_tests=require_tests)
    tell(findings, form, otherwise=inspection.summary)
    context.exit(exit_code(findings, strict=strict))


def _look(
    path: Path, prices: Path | None, *, require_tests: bool
) -> tuple[Inspection, Sequence[Diagnostic]]:
    inspection = inspection_of(path, prices)
    if inspection.policies is None:
        return inspection, inspection.mistakes
    today = datetime.now(UTC)
    return inspection, warned(inspection.policies, today, require_tests=require_tests)


def _repair(findings: Sequence[Diagnostic]) -> bool:
    """Write what can be repaired into the files, and say so; False where there is nothing."""
    changed = False
    for file in sorted({found.fix.file for found in findings if found.fix is not None}):
        text = text_of(Path(file))
        done = repaired(file, text, findings)
        if done is None:
            continue
        rewrite(Path(file), done.text)
        changed = True
        for found in in_order(done.done):
            click.echo(_told(found, text), err=True)
    return changed


def _told(found: Diagnostic, text: str) -> str:
    """`policy.yaml:4:1: fixed[B1] unknown field 'modee': 'modee' became 'mode'`."""
    assert found.fix is not None, "it was repaired"
    before, after = text[found.fix.start : found.fix.end], found.fix.replacement
    what = f"{_short(before)} became {_short(after)}"
    if not before or not after:
        what = f"wrote {_short(after)}" if after else f"took away {_short(before)}"
    place = f"{found.file}:{found.line}:{found.column}"
    return f"{place}: fixed[{found.code}] {found.message}: {what}"


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
