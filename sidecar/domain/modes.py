"""How strictly is a policy taken, what does a refusal look like, and what if a fact is missing?"""

from enum import IntEnum, StrEnum


class Mode(StrEnum):
    """off counts and reports; advisory warns where it would refuse; enforce refuses."""

    OFF = "off"
    ADVISORY = "advisory"
    ENFORCE = "enforce"

    def narrowed(self, other: "Mode") -> "Mode":
        """The less strict of the two."""
        return self if _STRICTNESS[self] <= _STRICTNESS[other] else other


_STRICTNESS = {Mode.OFF: 0, Mode.ADVISORY: 1, Mode.ENFORCE: 2}


class Refusal(IntEnum):
    """The HTTP status of a refusal.

    A plan or money mends the first, nothing the second, time the third; the last says that
    a fact was missing and the policy would rather refuse.
    """

    PAYMENT_REQUIRED = 402
    FORBIDDEN = 403
    TOO_MANY_REQUESTS = 429
    UNAVAILABLE = 503


class FailureMode(StrEnum):
    """What a missing fact means: open lets the request through, closed refuses it.

    local decides by the last reading and what this process has let through since.
    """

    OPEN = "open"
    CLOSED = "closed"
    LOCAL = "local"


class Ceiling(StrEnum):
    """What the operator's setting does to the mode that a file states.

    RAISED turns a file's advisory into enforce, never its off; CAPPED lets nothing be
    harsher than a warning.
    """

    AS_WRITTEN = "as_written"
    RAISED = "raised"
    CAPPED = "capped"

    def over(self, file_mode: Mode) -> Mode:
        """The mode in force for a file, before its limits and rules narrow it."""
        match self:
            case Ceiling.AS_WRITTEN:
                return file_mode
            case Ceiling.RAISED:
                return Mode.ENFORCE if file_mode is Mode.ADVISORY else file_mode
            case Ceiling.CAPPED:
                return file_mode.narrowed(Mode.ADVISORY)
