"""What can be told of the policies in force, and of those that were refused?"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sidecar.domain.decision import Effect
from sidecar.domain.modes import Mode
from sidecar.domain.value import value


class Outcome(StrEnum):
    """What became of an attempt to put a directory in force."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


class Fault(StrEnum):
    """Why a directory was not put in force; the set is closed."""

    UNREADABLE = "unreadable"
    INVALID = "invalid"
    TESTS_FAILED = "tests_failed"
    TESTS_TOO_SLOW = "tests_too_slow"
    UNSETTLED = "unsettled"
    DEFECT = "defect"


@value
class FileDigest:
    """One file of a snapshot; its kind is `policy`, `test` or `prices`."""

    name: str
    kind: str
    sha256: str


@value
class PlanName:
    """A plan, by its id and by what people call it."""

    id: str
    name: str
    mode: Mode


@value
class Tested:
    """The tests beside a policy that is in force: none of them failed."""

    passed: int
    skipped: int


@value
class InForce:
    """One snapshot, described.

    Attributes:
        generation: how many snapshots were put in force since the start, this one included.
        mode: the strictest of its plans.
        rules, limits: how many have an id of their own.
        tested: None where no test was run.
    """

    revision: str
    generation: int
    loaded_at: datetime
    mode: Mode
    files: tuple[FileDigest, ...]
    plans: tuple[PlanName, ...]
    rules: int
    limits: int
    tested: Tested | None


@value
class Finding:
    """One thing that is wrong, and where; the code of a test that failed is `TEST`."""

    code: str
    severity: str
    message: str
    file: str
    line: int
    column: int
    path: str = ""
    hint: str = ""


@value
class Rejection:
    """Content that was refused.

    Attributes:
        message: all of it, as a person reads it.
        untold: how many findings there are beside those that are listed.
        stands: whether it is still what the directory holds.
    """

    at: datetime
    fault: Fault
    message: str
    findings: tuple[Finding, ...] = ()
    untold: int = 0
    stands: bool = True


@value
class PolicyReport:
    """How it stands with one directory.

    Attributes:
        in_force: None while nothing of it has loaded yet.
        rejection: the latest, None if there was none.
    """

    directory: str
    in_force: InForce | None
    rejection: Rejection | None


@value
class Reloaded:
    """What an attempt came to, and how it stands after it."""

    outcome: Outcome
    report: PolicyReport


@value
class Difference:
    """A decision that a candidate would have made otherwise.

    Attributes:
        because: the id of the limit, rule or part of a plan that made the difference.
        live_reasons, shadow_reasons: ids, refusals in front.
    """

    at: datetime
    decision_id: str
    app_id: str
    user_id: str
    because: str
    live_effect: Effect
    live_status: int
    live_reasons: tuple[str, ...]
    shadow_effect: Effect
    shadow_status: int
    shadow_reasons: tuple[str, ...]


@value
class Comparison:
    """What a candidate would change, of the decisions since both revisions are in force.

    Attributes:
        compared: decisions.
        different: those with another effect.
        left_out: decisions that were not compared, because there were too many at once or a
            counter could not be read.
        effects: how many of the different ones, by `allow->deny`.
        because: how many, by what made the difference; `*` for all that are not told apart.
        other_reasons: how many have the same effect and other reasons, likewise.
        uncounted: limits of the candidate whose counters no limit in force counts in.
        latest: the last of the different ones, the newest first.
    """

    live_revision: str
    shadow_revision: str
    since: datetime
    compared: int
    different: int
    left_out: int
    effects: Mapping[str, int]
    because: Mapping[str, int]
    other_reasons: Mapping[str, int]
    uncounted: tuple[str, ...]
    latest: tuple[Difference, ...]
