"""What can go wrong, as a tree; a refusal is not here, because a refusal is an answer.

    SidecarError
      ConfigurationError           the process must not start; the message says what to change
      Unavailable                  a fact could not be had in time
        SubscriptionsUnavailable
        MeterUnavailable
        PaymentsUnavailable
        NotKept
      PaymentsRefused              the payment side said no
      RequestFault                 the caller asked for what cannot be
        UnknownReservation
        ReservationEnded
        RequestIdReused
        GrantConflict

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


class PaymentsUnavailable(Unavailable):
    """The payment side did not answer, or not in a way that could be understood."""


class NotKept(Unavailable):
    """Nothing takes what was to be counted now, not even to be counted later."""


class PaymentsRefused(SidecarError):
    """The payment side will not do what was asked for."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the payment side answered {status}")
        self.status = status


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
