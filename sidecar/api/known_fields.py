"""Which fields could have been meant? The names that a body, or a part of it, may have."""

from sidecar.api.explain_schemas import BalanceBody, ExplainBody, GivenBody, HeldBody
from sidecar.api.fields import Body
from sidecar.api.queries import (
    DecisionsQuery,
    ExportQuery,
    OutboxQuery,
    OwnUsageQuery,
    PeriodsQuery,
    UsageQuery,
    ViewQuery,
)
from sidecar.api.schemas import (
    CancelBody,
    CheckBody,
    CheckoutBody,
    ChecksBody,
    CommitBody,
    EstimateBody,
    ExtendBody,
    PortalTokenBody,
)
from sidecar.api.usage_schemas import UsageEventBody, UsageSummaryBody


def known_fields(schema: str, location: tuple[str | int, ...]) -> list[str]:
    """The fields of a body, or of the part of it at a location; empty for an unknown one."""
    part = _PARTS.get(str(location[0])) if location else None
    if part is GivenBody and location[1:]:
        part = BalanceBody if location[1] == "wallet" else HeldBody
    if part is CheckBody and len(location) > 2:
        part = EstimateBody
    model = part or _BODIES.get(schema)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


_BODIES: dict[str, type[Body]] = {
    model.__name__: model
    for model in (
        CheckBody,
        ChecksBody,
        CommitBody,
        ExtendBody,
        ExplainBody,
        UsageEventBody,
        UsageSummaryBody,
        UsageQuery,
        OwnUsageQuery,
        PeriodsQuery,
        DecisionsQuery,
        ExportQuery,
        OutboxQuery,
        CheckoutBody,
        CancelBody,
        PortalTokenBody,
        ViewQuery,
    )
}
_PARTS: dict[str, type[Body]] = {
    "estimate": EstimateBody,
    "checks": CheckBody,
    "given": GivenBody,
}
