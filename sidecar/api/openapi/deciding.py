"""The entries of checks, reservations and whatever else decides."""

from collections.abc import Iterable
from typing import Final

from sidecar.api.openapi.operation import CALLERS, JSON, READERS, Operation
from sidecar.api.openapi.schema import ref
from sidecar.domain.modes import Refusal

_TAG: Final = "Decisions"
_HOLDS: Final = "Reservations"
_AUTHZEN: Final = "AuthZEN"


def deciding() -> Iterable[Operation]:
    """What is asked before a request, and what becomes of what it held."""
    yield Operation(
        "POST", "/v1/check", _TAG, "Ask before a request",
        "Allow and warn are 200; a refusal has the status that the policy names, "
        f"{Refusal.PAYMENT_REQUIRED:d} unless it says otherwise. With `reserve` the estimate is "
        "held in every limit at once, all or nothing. The same `request_id` again "
        "returns the first answer and holds nothing more.",
        "Decision", CALLERS, body={JSON: ref("Check")}, others={409: "Fault"}, decides=True,
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/checks", _TAG, "Ask several things at once",
        "Up to a hundred checks, always answered with 200; each decision has its own `status`.",
        "Decisions", CALLERS, body={JSON: ref("Checks")},
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/explain", _TAG, "Ask why",
        "What a check would answer, with every limit and rule; counts and holds nothing. Facts "
        "under `given` are taken for granted, and `trace` tells each part of the expressions.",
        "Explained", READERS, body={JSON: ref("Explain")},
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/reservations/{id}/commit", _HOLDS, "Charge what was used",
        "Repeating it is harmless, and a late commit still charges. `final: false` moves what "
        "was used from the hold to use, and keeps the rest held.",
        "Settlement", CALLERS, body={JSON: ref("Commit")},
        others={404: "Fault", 409: "Fault"},
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/reservations/{id}/release", _HOLDS, "Give back what is held",
        "Nothing is charged. A body is not read.",
        "Settlement", CALLERS, others={404: "Fault", 409: "Fault"},
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/reservations/{id}/extend", _HOLDS, "Hold longer, or more",
        "An estimate is held in addition, for spend during a long run; a refusal leaves the "
        "hold as it was.",
        "Decision", CALLERS, body={JSON: ref("Extend")},
        others={404: "Fault", 409: "Fault"}, decides=True,
    )  # fmt: skip
    yield Operation(
        "POST", "/access/v1/evaluation", _AUTHZEN, "One access evaluation",
        "AuthZEN 1.0. Always 200 with `decision`; the rest is under `context`.",
        "EvaluationAnswer", CALLERS, body={JSON: ref("Evaluation")}, others={400: "InvalidBody"},
    )  # fmt: skip
    yield Operation(
        "POST", "/access/v1/evaluations", _AUTHZEN, "Several access evaluations",
        "AuthZEN 1.0, with the three semantics of a list. What a question leaves out stands "
        "beside the list; without a list it is one evaluation.",
        "EvaluationAnswers", CALLERS, body={JSON: ref("Evaluations")},
        others={200: "EvaluationAnswer", 400: "InvalidBody"},
    )  # fmt: skip
    yield Operation(
        "GET", "/.well-known/authzen-configuration", _AUTHZEN, "Where the endpoints are",
        "The base is the address by which this was asked for.",
        "AuthZenConfiguration", stored=False, bounded=False,
    )  # fmt: skip
