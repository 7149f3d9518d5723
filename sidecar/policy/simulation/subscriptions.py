"""Which subscription has a user at this point of the replay?"""

from collections.abc import Iterable
from typing import Final

from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, never_synced
from sidecar.policy.simulation.counts import Counts, hash_of

_MOST: Final = 100_000
"""Users whose recorded subscription is known between the checks that it was recorded with."""


class Known:
    """Subscriptions as checks were recorded with them, else as they were given, else none."""

    def __init__(self, given: Iterable[Subscription] = ()) -> None:
        self._given = {(state.app_id, state.user_id): state for state in given}
        self._recorded: dict[int, Subscription] = {}
        self._unknown = Counts()

    @property
    def unknown(self) -> int:
        """Users of whom no subscription is known."""
        return len(self._unknown)

    def of(self, subject: Subject, recorded: Subscription | None) -> Subscription:
        """The subscription of a user, who may just have been recorded with one."""
        user = subject.app_id, subject.user_id
        key = hash_of(user)
        if recorded is not None:
            if key in self._recorded or len(self._recorded) < _MOST:
                self._recorded[key] = recorded
            return recorded
        found = (
            self._recorded.get(key)
            or self._given.get(user)
            or self._given.get(("", subject.user_id))
        )
        if found is not None:
            return found
        self._unknown.set(key, 1)
        return never_synced(subject)
