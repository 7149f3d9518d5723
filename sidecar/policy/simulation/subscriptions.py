"""Which subscription has a user at this point of the replay?

Reports of use name none: the one counts that the user's latest check was recorded with. There may
be as many as users, but most are alike, and what is alike is kept once.
"""

import json
from collections.abc import Hashable, Iterable
from typing import Final

from sidecar.domain.request import Subject
from sidecar.domain.subscription import Status, Subscription, never_synced
from sidecar.policy.simulation.counts import Counts, hash_of

_MOST_STATES: Final = 50_000
"""Subscriptions that differ; what comes then is not known between the checks it came with."""

_NOT_KEPT: Final = -1


class Known:
    """Subscriptions as checks were recorded with them, else as they were given, else none."""

    def __init__(self, given: Iterable[Subscription] = ()) -> None:
        self._given = {(state.app_id, state.user_id): state for state in given}
        self._states: dict[Hashable, int] = {}
        self._by_number: list[Subscription] = []
        self._recorded = Counts()
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
            self._keep(key, recorded)
            return recorded
        number = self._recorded.get(key)
        if number is not None and number != _NOT_KEPT:
            return self._by_number[number]
        found = self._given.get(user) or self._given.get(("", subject.user_id))
        if found is not None:
            return found
        self._unknown.set(key, 1)
        return never_synced(subject)

    def _keep(self, key: int, state: Subscription) -> None:
        facts = _facts(state)
        number = self._states.get(facts)
        if number is None:
            number = _NOT_KEPT
            if len(self._by_number) < _MOST_STATES:
                number = self._states[facts] = len(self._by_number)
                self._by_number.append(state)
        self._recorded.set(key, number)


def _facts(state: Subscription) -> Hashable:
    """All of a subscription that policies look at, whoever has it."""
    # How long it has been active is nothing to them, but grace and trials have an end.
    since = None if state.status is Status.ACTIVE else state.status_since
    return (
        state.plan, state.status, since, state.billing_cycle, state.next_billing_date,
        state.trial_end, state.period_start, state.period_end, state.cancel_at_period_end,
        json.dumps(state.metadata, sort_keys=True) if state.metadata else "",
    )  # fmt: skip
