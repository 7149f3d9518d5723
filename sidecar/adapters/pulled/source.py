"""What does the billing side answer when it is asked of a user's subscription?"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from sidecar.adapters.web import Answer, Web
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Status, Subscription, never_synced
from sidecar.errors import SubscriptionsUnavailable, Unavailable

_LONGEST_PLAN: Final = 256


class Address:
    """Where one user is asked for at another server.

    Args:
        template: with `{app_id}` and `{user_id}`.
        key: that lets the app in, empty where none is needed.
    """

    def __init__(self, web: Web, template: str, key: str = "") -> None:
        self._web = web
        self._template = template
        self._key = key

    async def ask(self, subject: Subject) -> Answer:
        """What is answered of a subject.

        Raises:
            Unavailable: nothing was.
        """
        url = self._template.replace("{app_id}", quote(subject.app_id, safe="")).replace(
            "{user_id}", quote(subject.user_id, safe="")
        )
        headers = {"x-correlation-id": secrets.token_urlsafe(16), "x-mozaiks-app-key": self._key}
        given = {name: value for name, value in headers.items() if value}
        return await self._web.ask("GET", url, headers=given)


class BillingSide:
    """Asks for one user's state.

    Args:
        address, key: as of an `Address`.
    """

    def __init__(self, web: Web, address: str, key: str = "") -> None:
        self._address = Address(web, address, key)

    async def ask(self, subject: Subject) -> Subscription:
        """The state as it is told now; whoever is unknown there has none.

        Raises:
            SubscriptionsUnavailable: no state could be had.
        """
        try:
            answer = await self._address.ask(subject)
        except Unavailable as error:
            raise SubscriptionsUnavailable(str(error)) from error
        if answer.status == 404:
            return never_synced(subject)
        if not answer.is_success or not isinstance(answer.body, dict):
            raise SubscriptionsUnavailable(f"the billing side answered {answer.status}")
        return state_of(answer.body, subject)


def state_of(told: Mapping[str, object], subject: Subject) -> Subscription:
    """A state from `{active, status, plan, currentPeriodEnd, cancelAtPeriodEnd}`.

    Raises:
        SubscriptionsUnavailable: that is not what was told.
    """
    active, status = told.get("active"), told.get("status")
    if status is None and isinstance(active, bool):
        status = Status.ACTIVE if active else Status.INACTIVE
    try:
        known = Status(str(status))
    except ValueError:
        message = f"the billing side told an unknown status: {status!r:.80}"
        raise SubscriptionsUnavailable(message) from None
    plan, period_end = told.get("plan"), told.get("currentPeriodEnd")
    if isinstance(plan, str) and len(plan) > _LONGEST_PLAN:
        raise SubscriptionsUnavailable("the billing side told a plan that is no name")
    return Subscription(
        user_id=subject.user_id,
        app_id=subject.app_id,
        plan=plan if isinstance(plan, str) else "",
        status=known,
        period_end=None if period_end is None else _instant(period_end),
        cancel_at_period_end=told.get("cancelAtPeriodEnd") is True,
    )


def _instant(value: object) -> datetime:
    try:
        instant = datetime.fromisoformat(str(value))
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise SubscriptionsUnavailable(f"the billing side told no date: {value!r:.80}") from None
