"""How are findings told to a program: as JSON, as SARIF, as annotations of a pull request?"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from sidecar import __version__
from sidecar.policy.codes import CODES
from sidecar.policy.diagnostics import Diagnostic, Fix, Related
from sidecar.policy.pages import page_of

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(found: Diagnostic) -> dict[str, object]:
    """One finding as JSON has it."""
    fix = found.fix
    return {
        "code": found.code,
        "severity": found.severity.value,
        "file": found.file,
        "range": _range(found),
        "path": found.path,
        "message": found.message,
        "hint": found.hint,
        "related": [
            {"file": other.file, "range": _range(other), "message": other.message}
            for other in found.related
        ],
        "fix": None if fix is None else _fix_as_json(fix),
    }


def as_sarif(findings: Sequence[Diagnostic]) -> dict[str, object]:
    """All findings as one SARIF 2.1.0 log, with the page of each code that they have."""
    codes = sorted({found.code for found in findings})
    driver = {"name": "sidecar", "version": __version__, "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(found, codes) for found in findings],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def as_annotations(findings: Iterable[Diagnostic]) -> Iterable[str]:
    """A line for each finding that GitHub shows beside the changed line."""
    for found in findings:
        properties = {
            "file": found.file,
            "line": str(found.line),
            "col": str(found.column),
            "endColumn": str(found.column + found.length),
            "title": f"{found.code}: {CODES.get(found.code, found.code)}",
        }
        named = ",".join(f"{name}={_escaped_property(it)}" for name, it in properties.items())
        yield f"::{found.severity} {named}::{_escaped(_sentence(found))}"


def _sentence(found: Diagnostic) -> str:
    return found.message + (f" ({found.hint})" if found.hint else "")


def _range(it: Diagnostic | Related) -> dict[str, dict[str, int]]:
    return {
        "start": {"line": it.line, "column": it.column},
        "end": {"line": it.line, "column": it.column + it.length},
    }


def _fix_as_json(fix: Fix) -> dict[str, object]:
    return {"file": fix.file, "start": fix.start, "end": fix.end, "replacement": fix.replacement}


def _rule(code: str) -> dict[str, object]:
    text = page_of(code)
    return {
        "id": code,
        "shortDescription": {"text": CODES.get(code, code)},
        "help": {"text": text, "markdown": text},
    }


def _result(found: Diagnostic, codes: Sequence[str]) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": found.code,
        "ruleIndex": codes.index(found.code),
        "level": found.severity.value,
        "message": {"text": _sentence(found)},
        "locations": [_location(found) | _logical(found)],
    }
    if found.related:
        result["relatedLocations"] = [
            {"id": number, "message": {"text": other.message}} | _location(other)
            for number, other in enumerate(found.related, 1)
        ]
    if found.fix is not None:
        result["fixes"] = [_sarif_fix(found.fix)]
    return result


def _location(it: Diagnostic | Related) -> dict[str, object]:
    region: dict[str, object] = {
        "startLine": it.line,
        "startColumn": it.column,
        "endColumn": it.column + it.length,
    }
    if isinstance(it, Diagnostic) and it.source_line:
        region["snippet"] = {"text": it.source_line}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(it.file)}, "region": region}}


def _logical(found: Diagnostic) -> dict[str, object]:
    return {"logicalLocations": [{"fullyQualifiedName": found.path}]} if found.path else {}


def _sarif_fix(fix: Fix) -> dict[str, object]:
    replacement = {
        "deletedRegion": {"charOffset": fix.start, "charLength": fix.end - fix.start},
        "insertedContent": {"text": fix.replacement},
    }
    change = {"artifactLocation": {"uri": _uri(fix.file)}, "replacements": [replacement]}
    return {"description": {"text": "sidecar lint --fix"}, "artifactChanges": [change]}


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
