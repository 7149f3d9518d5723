"""`/v1/policies`: what is in force, what was refused and why, what a candidate would change."""

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.problem import problem
from sidecar.domain.policies import (
    Comparison,
    Finding,
    InForce,
    Outcome,
    PolicyReport,
    Rejection,
    Reloaded,
)
from sidecar.ports import Directories


class PolicyFiles:
    """Shows the directories of policies, and has them read again."""

    def __init__(self, directories: Directories) -> None:
        self._live = directories.live
        self._shadow = directories.shadow
        self._comparison = directories.comparison

    async def show(self, call: Call) -> Response:
        """What is in force."""
        shadow = self._shadow
        body = _report(self._live.report)
        body["shadow"] = None if shadow is None else self._shadow_body(shadow.report)
        return json_response(body)

    async def reload(self, call: Call) -> Response:
        """Read the files again; 422 if they are refused, then nothing has changed."""
        reloaded = await self._live.reload()
        shadow = None if self._shadow is None else await self._shadow.reload()
        report = reloaded.report
        told: dict[str, object] = {
            "revision": report.in_force and report.in_force.revision,
            "generation": report.in_force and report.in_force.generation,
            "shadow": None if shadow is None else _reloaded(shadow),
        }
        rejection = report.rejection
        if reloaded.outcome is Outcome.REJECTED and rejection is not None:
            detail = "What was in force stays in force: " + rejection.message.partition("\n")[0]
            members = {**_rejection(rejection), **told}
            return problem(
                422, "policies_rejected", "The policies were refused", detail, members=members
            )
        return json_response({"status": reloaded.outcome, **told})

    def _shadow_body(self, report: PolicyReport) -> dict[str, object]:
        found = self._comparison()
        return {**_report(report), "comparison": None if found is None else _comparison(found)}


def _report(report: PolicyReport) -> dict[str, object]:
    told = None if report.rejection is None else _rejection(report.rejection)
    stands = report.rejection is not None and report.rejection.stands
    return {
        "directory": report.directory,
        **_in_force(report.in_force),
        "rejected": told if stands else None,
        "last_rejected": None if stands else told,
    }


def _in_force(in_force: InForce | None) -> dict[str, object]:
    if in_force is None:
        return {"revision": None, "generation": 0}
    tested = in_force.tested
    return {
        "revision": in_force.revision,
        "generation": in_force.generation,
        "loaded_at": in_force.loaded_at,
        "mode": in_force.mode,
        "files": [
            {"name": file.name, "kind": file.kind, "sha256": file.sha256} for file in in_force.files
        ],
        "plans": [{"id": plan.id, "name": plan.name, "mode": plan.mode} for plan in in_force.plans],
        "rules": in_force.rules,
        "limits": in_force.limits,
        "tests": None if tested is None else {"passed": tested.passed, "skipped": tested.skipped},
    }


def _rejection(rejection: Rejection) -> dict[str, object]:
    return {
        "at": rejection.at,
        "reason": rejection.fault,
        "message": rejection.message,
        "diagnostics": [_finding(finding) for finding in rejection.findings],
        "untold": rejection.untold,
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "path": finding.path or None,
        "hint": finding.hint or None,
    }


def _reloaded(reloaded: Reloaded) -> dict[str, object]:
    in_force, rejection = reloaded.report.in_force, reloaded.report.rejection
    refused = reloaded.outcome is Outcome.REJECTED and rejection is not None
    return {
        "status": reloaded.outcome,
        "revision": in_force and in_force.revision,
        "rejected": _rejection(rejection) if refused and rejection is not None else None,
    }


def _comparison(found: Comparison) -> dict[str, object]:
    return {
        "live_revision": found.live_revision,
        "shadow_revision": found.shadow_revision,
        "since": found.since,
        "compared": found.compared,
        "different": found.different,
        "left_out": found.left_out,
        "effects": found.effects,
        "because": found.because,
        "other_reasons": found.other_reasons,
        "uncounted_limits": found.uncounted,
        "latest": [
            {
                "at": each.at,
                "decision_id": each.decision_id,
                "app_id": each.app_id,
                "user_id": each.user_id,
                "because": each.because,
                "live": {
                    "effect": each.live_effect,
                    "status": each.live_status,
                    "reasons": each.live_reasons,
                },
                "shadow": {
                    "effect": each.shadow_effect,
                    "status": each.shadow_status,
                    "reasons": each.shadow_reasons,
                },
            }
            for each in found.latest
        ],
    }
