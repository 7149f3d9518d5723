"""How is a report of tests told to a program: as JSON, as JUnit's XML?"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from sidecar.domain.decision import Reason
from sidecar.domain.explanation import (
    Does,
    ExplainedLimit,
    ExplainedName,
    ExplainedRule,
    Explanation,
)
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.reports import as_json as finding_as_json
from sidecar.policy.testing.coverage import Coverage
from sidecar.policy.testing.report import Outcome, Report, Result

_MARKS = {Does.DENIES: "✗", Does.WOULD_DENY: "!", Does.WARNS: "!"}
"""How a part is marked that does not let the request through as it is."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML can hold."""


def as_json(report: Report) -> dict[str, object]:
    """The report with every case, and what the tests cover."""
    return {
        "good": report.is_good,
        "files": list(report.files),
        "passed": len(report.passed),
        "failed": _count(report.results, Outcome.FAILED),
        "errors": _count(report.results, Outcome.ERROR),
        "skipped": len(report.skipped),
        "unfinished": report.unfinished,
        "findings": [finding_as_json(found) for found in report.findings],
        "tests": [_test_as_json(result) for result in report.results],
        "coverage": _coverage_as_json(report.coverage),
    }


def as_junit(report: Report) -> str:
    """The report as XML: a suite is a file, what does not load is an error of a suite.

    It has what the schema of Jenkins allows, https://github.com/jenkinsci/xunit-plugin (junit-10).
    """
    suites = ET.Element("testsuites", name="sidecar test")
    for file, group in groupby(report.results, key=lambda result: result.file):
        results = list(group)
        suite = _suite(suites, file, results)
        for result in results:
            _case(suite, result)
    if report.findings:
        suite = ET.SubElement(
            suites, "testsuite", name="load", tests="1", failures="0", errors="1", skipped="0"
        )
        case = ET.SubElement(suite, "testcase", classname="load", name="load")
        _told(case, "error", "policies or tests do not load", _text(report.findings))
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode")


def _count(results: Sequence[Result], outcome: Outcome) -> int:
    return sum(result.outcome is outcome for result in results)


def _test_as_json(result: Result) -> dict[str, object]:
    decision = result.decision
    return {
        "file": result.file,
        "line": result.line,
        "name": result.name,
        "outcome": result.outcome.value,
        "skipped": result.skipped or None,
        "effect": None if decision is None else decision.effect.value,
        "differences": [
            {"field": it.field, "expected": it.expected, "got": it.got} for it in result.differences
        ],
        "findings": [finding_as_json(found) for found in result.findings],
        "reasons": [] if decision is None else [_reason(it) for it in decision.reasons],
        "explanation": None if result.explanation is None else result.explanation.as_plain(),
    }


def _reason(reason: Reason) -> dict[str, object]:
    return {
        "id": reason.id,
        "code": reason.code.value,
        "effect": reason.effect.value,
        "mode": reason.mode.value,
        "message": reason.message,
    }


def _coverage_as_json(coverage: Coverage) -> dict[str, object]:
    return {
        "full": coverage.is_full,
        "shares": [
            {
                "kind": share.kind.value,
                "title": share.title,
                "covered": share.covered,
                "total": share.total,
                "percent": share.percent,
            }
            for share in coverage.shares
        ],
        "gaps": [
            {
                "kind": gap.spot.kind.value,
                "of": gap.spot.name,
                "text": gap.spot.text,
                "file": gap.spot.file,
                "line": gap.spot.place.line,
                "column": gap.spot.place.column,
                "unseen": list(gap.unseen),
            }
            for gap in coverage.gaps
        ],
    }


def _suite(parent: ET.Element, file: str, results: Sequence[Result]) -> ET.Element:
    return ET.SubElement(
        parent,
        "testsuite",
        name=_printable(file),
        file=_printable(file),
        tests=str(len(results)),
        failures=str(_count(results, Outcome.FAILED)),
        errors=str(_count(results, Outcome.ERROR)),
        skipped=str(_count(results, Outcome.SKIPPED)),
        time=f"{sum(result.seconds for result in results):.6f}",
    )


def _case(suite: ET.Element, result: Result) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_printable(result.file),
        name=_printable(result.name),
        time=f"{result.seconds:.6f}",
    )
    match result.outcome:
        case Outcome.PASSED:
            if result.findings:
                ET.SubElement(case, "system-out").text = _printable(_text(result.findings))
        case Outcome.SKIPPED:
            ET.SubElement(case, "skipped", message=_printable(result.skipped))
        case Outcome.ERROR:
            _told(case, "error", result.findings[0].message, _text(result.findings))
        case Outcome.FAILED:
            unlike = list(differences_in_words(result))
            message = unlike[0]
            unlike.insert(0, f"{result.file}:{result.line}")
            if result.explanation is not None:
                unlike += _parts_in_words(result.explanation)
            _told(case, "failure", message, "\n".join(unlike))


def _told(case: ET.Element, what: str, message: str, text: str) -> None:
    told = ET.SubElement(case, what, message=_printable(message), type=what)
    told.text = _printable(text)


def differences_in_words(result: Result) -> Iterator[str]:
    """`effect: expected deny, got allow`."""
    for it in result.differences:
        yield f"{it.field}: expected {it.expected}, got {it.got}"


def _parts_in_words(explanation: Explanation) -> Iterator[str]:
    """Each limit and rule that has to do with it, with its numbers and its place."""
    parts: list[ExplainedName | ExplainedLimit | ExplainedRule] = [*explanation.names]
    parts += explanation.limits
    parts += explanation.rules
    for part in parts:
        name = part.name if isinstance(part, ExplainedName) else part.id
        mark = _MARKS.get(part.does, "✓")
        yield f"{mark} {name}: {part.why}  {part.place or ''}".rstrip()


def _text(findings: Sequence[Diagnostic]) -> str:
    return "\n".join(map(str, findings))


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
