"""A report for programs: JSON, and the XML that build servers read."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sidecar.policy.testing import Report
from sidecar.policy.testing.rendering import as_json, as_junit
from tests.unit.testing.world import POLICY, report_of

TESTS = """
    tests:
      - name: holds & <is> "so"
        check: {app_id: a, user_id: u, plugin: basic_x}
        expect: {effect: allow}
      - name: fails
        given: {used: {free-tokens-per-month: 10000}}
        check: {app_id: a, user_id: u}
        expect: {effect: allow, reasons: []}
      - name: cannot be judged
        given: {used: {pro-tokens-per-month: 1}}
        check: {app_id: a, user_id: u}
        expect: {effect: allow}
      - name: later
        skip: nobody knows yet
        check: {app_id: a, user_id: u}
        expect: {effect: allow}
"""


def ran(directory: Path) -> Report:
    return report_of(directory, POLICY, TESTS)


def test_junit_has_a_suite_for_each_file_and_counts_what_it_holds(tmp_path: Path) -> None:
    root = ET.fromstring(as_junit(ran(tmp_path)))

    (suite,) = root
    assert root.tag == "testsuites"
    counts = {"tests": "4", "failures": "1", "errors": "1"}
    assert counts.items() <= suite.attrib.items()
    assert counts.items() <= root.attrib.items()
    assert suite.attrib["skipped"] == "1"
    assert suite.attrib["name"] == f"{tmp_path}/policy_test.yaml"
    assert float(suite.attrib["time"]) >= 0
    assert [case.attrib["name"] for case in suite] == [
        'holds & <is> "so"', "fails", "cannot be judged", "later"
    ]  # fmt: skip
    assert [[child.tag for child in case] for case in suite] == [
        [], ["failure"], ["error"], ["skipped"]
    ]  # fmt: skip


def test_junit_tells_a_failure_with_its_numbers_and_its_place(tmp_path: Path) -> None:
    failure = ET.fromstring(as_junit(ran(tmp_path))).find(".//failure")

    assert failure is not None
    assert failure.attrib["message"] == "effect: expected allow, got deny"
    assert (failure.text or "").splitlines() == [
        f"{tmp_path}/policy_test.yaml:9",
        "effect: expected allow, got deny",
        "reasons: expected [], got [free-tokens-per-month]",
        "✗ free-tokens-per-month: 10,000 used + 0 asked leaves nothing of 10,000  "
        f"{tmp_path}/policy.yaml:10",
    ]


ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        "name", "tests", "failures", "errors", "skipped", "time", "file", "timestamp", "hostname",
        "id", "package", "group", "log", "url",
    },
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
}  # fmt: skip
"""Elements and attributes of junit-10.xsd, as Jenkins' xunit plugin has it."""


@pytest.mark.parametrize("tests", [TESTS, "tests: 5"])
def test_junit_has_nothing_that_the_schema_of_jenkins_does_not_allow(
    tests: str, tmp_path: Path
) -> None:
    for element in ET.fromstring(as_junit(report_of(tmp_path, POLICY, tests))).iter():
        assert element.attrib.keys() <= ALLOWED[element.tag]
        assert re.fullmatch(r"[0-9]*(\.[0-9]*)?", element.attrib.get("time", ""))


def test_junit_tells_what_to_mind_of_a_case_that_holds(tmp_path: Path) -> None:
    policy = POLICY.replace("status: 429,", "status: 429, when: 'request.model == \"m\"',")
    tests = "tests: [{name: it, check: {app_id: a, user_id: u}, expect: {effect: allow}}]"
    told = ET.fromstring(as_junit(report_of(tmp_path, policy, tests))).find(".//system-out")

    assert told is not None
    assert "warning[L5] 'it' does not state request.model" in (told.text or "")


def test_junit_is_xml_whatever_a_test_is_called(tmp_path: Path) -> None:
    tests = (
        'tests: [{name: "bell \\u0007 ]]>", check: {app_id: a, user_id: u}, expect: {status: 200}}]'
    )
    report = report_of(tmp_path, POLICY, tests)

    case = ET.fromstring(as_junit(report)).find(".//testcase")
    assert case is not None
    assert case.attrib["name"] == "bell \N{REPLACEMENT CHARACTER} ]]>"


def test_junit_tells_that_nothing_could_be_loaded(tmp_path: Path) -> None:
    root = ET.fromstring(as_junit(report_of(tmp_path, POLICY, "tests: 5")))

    assert root.attrib["errors"] == "1"
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert "error[B2] expected a list" in (error.text or "")


def test_json_has_every_case_and_the_gaps(tmp_path: Path) -> None:
    told = json.loads(json.dumps(as_json(ran(tmp_path))))

    assert {name: told[name] for name in ("good", "passed", "failed", "errors", "skipped")} == {
        "good": False, "passed": 1, "failed": 1, "errors": 1, "skipped": 1
    }  # fmt: skip
    holds, fails, unjudged, later = told["tests"]
    assert holds["outcome"] == "passed"
    assert fails["differences"][0] == {"field": "effect", "expected": "allow", "got": "deny"}
    assert fails["reasons"][0]["id"] == "free-tokens-per-month"
    assert fails["explanation"]["limits"][0]["place"] == f"{tmp_path}/policy.yaml:10"
    assert holds["explanation"] is None
    assert unjudged["findings"][0]["code"] == "L4"
    assert (later["outcome"], later["skipped"]) == ("skipped", "nobody knows yet")
    assert {gap["of"] for gap in told["coverage"]["gaps"]} >= {"burst", "pro.plugins"}
    assert told["coverage"]["full"] is False
