"""What can go wrong between a runtime and the sidecar?"""

from sidecar.client.answers import Decision


class EntitlementError(Exception):
    """The root: everything this client raises on purpose."""


class PaymentRequired(EntitlementError):
    """The answer was no; what would help stands in `decision.remedies`.

    Its text is for the user who asked, and names what would help with its URL.
    """

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.advice)
        self.decision = decision


class InvalidQuestion(EntitlementError):
    """The sidecar does not understand what it was asked; the caller's code is to be mended.

    Attributes:
        status: of the answer.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


class SidecarUnavailable(EntitlementError):
    """There was no answer in time, or none that says anything."""


class Lost(Exception):
    """A question and its answer got lost somewhere on the way."""
