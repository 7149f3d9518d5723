"""Where does a user go to buy a plan?"""

from sidecar.domain.value import value


@value
class Checkout:
    """A page on which a user pays; nothing here changes until the billing side says so.

    Attributes:
        session_id: the payment side's name for it, empty where there is none.
    """

    url: str
    session_id: str = ""


@value
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
