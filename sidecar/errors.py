"""What can go wrong, as a tree; a refusal is not here, because a refusal is an answer.

    SidecarError
      ConfigurationError           the process must not start; the message says what to change
      Unavailable                  a fact could not be had in time
        SubscriptionsUnavailable
        MeterUnavailable
        PaymentsUnavailable
        IdentityUnavailable
        NotKept
      OutboxFull                   too much waits for the control plane to count more
      PaymentsRefused              the payment side said no
      IdentityRefused              a token is for nobody here
      RequestFault                 the caller asked for what cannot be
        UnknownReservation
        ReservationEnded
        RequestIdReused
        GrantConflict
        UnknownEntry
        NothingKept
        UnknownCursor

HTTP status codes are not here either: `sidecar.api.problem` owns them.
"""


class SidecarError(Exception):
    """The root: everything this package raises on purpose."""


class ConfigurationError(SidecarError):
    """A setting, a policy directory or a store address that the process cannot start with."""


class Unavailable(SidecarError):
    """A fact that could not be had in time; the failure mode decides what follows."""


class SubscriptionsUnavailable(Unavailable):
    """The subscription of a subject could not be read or written."""


class MeterUnavailable(Unavailable):
    """The counters could not be read or written."""


class OutboxFull(SidecarError):
    """As many events wait for the control plane as may; nothing was counted."""

    def __init__(self) -> None:
        super().__init__("as many events wait for the control plane as SIDECAR_OUTBOX_MAX says")


class PaymentsUnavailable(Unavailable):
    """The payment side did not answer, or not in a way that could be understood."""


class IdentityUnavailable(Unavailable):
    """The keys that users' tokens are signed with could not be had."""


class NotKept(Unavailable):
    """Nothing takes what was to be counted now, not even to be counted later."""


class PaymentsRefused(SidecarError):
    """The payment side will not do what was asked for."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the payment side answered {status}")
        self.status = status


class IdentityRefused(SidecarError):
    """A user's token that says nothing here; the message never quotes it."""


class RequestFault(SidecarError):
    """The caller named something that does not exist or that is already over."""


class UnknownReservation(RequestFault):
    """No reservation has this id, or it ended more than seven days ago."""

    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"no reservation {reservation_id!r} is known")
        self.reservation_id = reservation_id


class ReservationEnded(RequestFault):
    """The reservation was committed, released or has expired, and the call needs a live one."""

    def __init__(self, reservation_id: str, state: str) -> None:
        super().__init__(f"reservation {reservation_id!r} is already {state}")
        self.reservation_id = reservation_id
        self.state = state


class RequestIdReused(RequestFault):
    """The same `request_id` came before with another body."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request_id {request_id!r} was used before with another body")
        self.request_id = request_id


class GrantConflict(RequestFault):
    """A grant cannot stand beside what is stored for the user already."""


class UnknownEntry(RequestFault):
    """No event of this id is set aside, or is the first that waits for the control plane."""

    def __init__(self, entry_id: str) -> None:
        super().__init__(f"{entry_id!r} is neither set aside nor the first that waits in its app")
        self.entry_id = entry_id


class NothingKept(RequestFault):
    """Accepted events are not kept, so none can be exported."""

    def __init__(self) -> None:
        super().__init__("accepted events are not kept here; set SIDECAR_EVENTS_KEPT, such as 35d")


class UnknownCursor(RequestFault):
    """The cursor is none that an export has given for the same question."""

    def __init__(self) -> None:
        super().__init__("the cursor is none that this export has given")
