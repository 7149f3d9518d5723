"""Where does a user go to buy a plan?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkout:
    """A page on which a user pays; nothing here changes until the billing side says so.

    Attributes:
        session_id: the payment side's name for it, empty where there is none.
    """

    url: str
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """For whom the payment side is asked.

    Attributes:
        authorization: the user's own, as it came; empty where none came.
        correlation_id: under which both sides log it.
    """

    app_id: str
    user_id: str
    authorization: str = ""
    correlation_id: str = ""
