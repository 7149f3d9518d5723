"""Which subscription has a user at this point of the replay?"""

from collections.abc import Iterable
from typing import Final

from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, never_synced

_MOST: Final = 200_000


class Known:
    """Subscriptions as checks were recorded with them, else as they were given, else none.

    Attributes:
        assumed: users of whom nothing is known, at least; their plan is the default one.
    """

    def __init__(self, given: Iterable[Subscription] = ()) -> None:
        self._given = {(state.app_id, state.user_id): state for state in given}
        self._recorded: dict[tuple[str, str], Subscription] = {}
        self._unknown: set[int] = set()

    @property
    def unknown(self) -> int:
        """Users of whom no subscription is known, counted up to a bound."""
        return len(self._unknown)

    def of(self, subject: Subject, recorded: Subscription | None) -> Subscription:
        """The subscription of a user, who may just have been recorded with one."""
        user = subject.app_id, subject.user_id
        if recorded is not None:
            if user in self._recorded or len(self._recorded) < _MOST:
                self._recorded[user] = recorded
            return recorded
        found = (
            self._recorded.get(user)
            or self._given.get(user)
            or self._given.get(("", subject.user_id))
        )
        if found is not None:
            return found
        if len(self._unknown) < _MOST:
            self._unknown.add(hash(user))
        return never_synced(subject)
