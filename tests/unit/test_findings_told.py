"""Do JSON, SARIF and annotations say what a person is told?"""

import json
from typing import Any

from sidecar.cli.findings import exit_code
from sidecar.policy.diagnostics import Diagnostic, Fix, Related, Severity
from sidecar.policy.pages import page_of
from sidecar.policy.reports import as_annotations, as_json, as_sarif

ERROR = Diagnostic(
    "B1", "unknown field 'modee'", "a b/policy.yaml", 4, 3, 5, "did you mean 'mode'?", "modee",
    "  modee: off", fix=Fix("a b/policy.yaml", 40, 45, "mode"),
)  # fmt: skip
WARNING = Diagnostic(
    "C4", "100 %, no: use", "/etc/p.yaml", 1, 1, severity=Severity.WARNING,
    related=(Related("/etc/p.yaml", 7, 2, "it is used here", 3),),
)  # fmt: skip


def test_json_has_the_range_and_everything_that_belongs_to_a_finding() -> None:
    assert as_json(ERROR) == {
        "code": "B1",
        "severity": "error",
        "file": "a b/policy.yaml",
        "range": {"start": {"line": 4, "column": 3}, "end": {"line": 4, "column": 8}},
        "path": "modee",
        "message": "unknown field 'modee'",
        "hint": "did you mean 'mode'?",
        "related": [],
        "fix": {"file": "a b/policy.yaml", "start": 40, "end": 45, "replacement": "mode"},
    }
    assert as_json(WARNING)["related"] == [
        {
            "file": "/etc/p.yaml",
            "range": {"start": {"line": 7, "column": 2}, "end": {"line": 7, "column": 5}},
            "message": "it is used here",
        }
    ]


def sarif() -> dict[str, Any]:
    log: dict[str, Any] = json.loads(json.dumps(as_sarif([ERROR, WARNING, ERROR])))
    return log


def test_a_sarif_log_has_the_members_that_its_schema_requires() -> None:
    log = sarif()
    (run,) = log["runs"]

    assert log["version"] == "2.1.0"
    assert run["tool"]["driver"]["name"] == "sidecar"
    assert all(result["message"]["text"] for result in run["results"])
    assert {result["level"] for result in run["results"]} == {"error", "warning"}
    for result in run["results"]:
        rules = run["tool"]["driver"]["rules"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["endColumn"] > region["startColumn"] >= 1
    (related,) = run["results"][1]["relatedLocations"]
    assert related["message"] == {"text": "it is used here"}
    (fix,) = run["results"][0]["fixes"]
    (change,) = fix["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "a%20b/policy.yaml"}
    assert change["replacements"] == [
        {"deletedRegion": {"charOffset": 40, "charLength": 5}, "insertedContent": {"text": "mode"}}
    ]


def test_sarif_names_files_as_uris_and_carries_the_page_of_each_code() -> None:
    (run,) = sarif()["runs"]
    uris = [
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
    ]

    assert uris == ["a%20b/policy.yaml", "file:///etc/p.yaml", "a%20b/policy.yaml"]
    assert [rule["help"]["markdown"] for rule in run["tool"]["driver"]["rules"]] == [
        page_of("B1"),
        page_of("C4"),
    ]


def test_an_annotation_is_one_line_whatever_is_in_it() -> None:
    strange = Diagnostic("B1", "50 %\nor, more: less", "a,b:c.yaml", 2, 3, 4)

    (line,) = as_annotations([strange])

    assert line == (
        "::error file=a%2Cb%3Ac.yaml,line=2,col=3,endColumn=7,title=B1%3A an unknown field"
        "::50 %25%0Aor, more: less"
    )


def test_mistakes_exit_3_and_warnings_5_where_that_is_asked_for() -> None:
    assert exit_code([ERROR, WARNING], strict=False) == 3
    assert exit_code([WARNING], strict=True) == 5
    assert exit_code([WARNING], strict=False) == 0
    assert exit_code([], strict=True) == 0
