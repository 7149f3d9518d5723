"""`/v1/me/*`: a user's own entitlements and use."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody
from sidecar.api.queries import OWN_USAGE_QUERY, OwnUsageQuery
from sidecar.api.render import overview_body
from sidecar.api.reports import Reports
from sidecar.domain.decision import RemedyKind
from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Refusal
from sidecar.domain.request import Subject
from sidecar.pdp import PDP, Overview
from sidecar.ports import Policies

_OF_THE_OPERATOR = ("metadata", "stripe_subscription_id")
"""What a billing side notes of a subscription for itself."""

Page = Callable[[str, Subject], str | None]


@dataclass(frozen=True, slots=True)
class Shop:
    """Where users are sent, None where nobody said so.

    Attributes:
        upgrade: for a plan.
        top_up: for further units of a limit.
    """

    upgrade: Page
    top_up: Page


class Own:
    """Shows users what is theirs."""

    def __init__(self, pdp: PDP, reports: Reports, policies: Policies, shop: Shop) -> None:
        self._pdp = pdp
        self._reports = reports
        self._policies = policies
        self._shop = shop

    async def entitlements(self, call: Call, subject: Subject) -> Response:
        """What the user may have, and how much of it is left."""
        faults = [
            FieldFault(name, "nothing is asked here; the token says who") for name in call.query
        ]
        if faults:
            raise InvalidBody(faults)
        return json_response(await self.entitled(subject))

    async def usage(self, call: Call, subject: Subject) -> Response:
        """What the user used."""
        return json_response(await self.used(subject, call.asked(OWN_USAGE_QUERY)))

    async def used(self, subject: Subject, asked: OwnUsageQuery) -> dict[str, Any]:
        """A report of one user."""
        return await self._reports.report(subject.app_id, subject.user_id, asked)

    async def entitled(self, subject: Subject) -> dict[str, Any]:
        """As `/v1/entitlements` shows it, without what is not the user's own.

        A counter that users share would tell one of them what the others use.
        """
        overview = await self._pdp.overview(subject)
        own = [each for each in overview.readings if Dimension.USER in each.limit.per]
        overview = replace(overview, readings=tuple(own))
        body = overview_body(overview)
        subscription = body["subscription"]
        if isinstance(subscription, dict):
            kept = {k: each for k, each in subscription.items() if k not in _OF_THE_OPERATOR}
            body["subscription"] = kept
        whose = {"app_id": subject.app_id, "user_id": subject.user_id}
        return whose | body | {"remedies": self._remedies(subject, overview)}

    def _remedies(self, subject: Subject, overview: Overview) -> list[dict[str, object]]:
        """Where the user gets more, whether or not something is used up."""
        found: list[dict[str, object]] = []
        plan = self._next_plan(overview.entitlement.plan)
        url = plan and self._shop.upgrade(plan, subject)
        if url:
            found.append({"type": RemedyKind.UPGRADE, "plan": plan, "url": url})
        for limit in (reading.limit for reading in overview.readings):
            url = self._shop.top_up(limit.id, subject)
            # A limit that answers 429 bounds a pace, which nobody buys.
            if url and limit.scopes and limit.refusal is Refusal.PAYMENT_REQUIRED:
                found.append({"type": RemedyKind.TOP_UP, "limit": limit.id, "url": url})
        return found

    def _next_plan(self, plan: str | None) -> str | None:
        """The plan that stands behind a user's own, as upgrades are looked for in that order."""
        known = list(self._policies.snapshot.plan_ids)
        behind = known[known.index(plan) + 1 :] if plan in known else known
        return next(iter(behind), None)
