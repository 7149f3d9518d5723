"""`POST /api/v1/entitlements/{app_id}/sync`: what the platform says of a whole app."""

import structlog
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody
from sidecar.api.manifest_body import MANIFEST
from sidecar.ports import Clock, Policies
from sidecar.ports import Manifests as ManifestsPort

_log = structlog.get_logger("sidecar.api")


class Manifests:
    """Takes pushes; what came of them is shown with the entitlements of each user."""

    def __init__(self, manifests: ManifestsPort, policies: Policies, clock: Clock) -> None:
        self._manifests = manifests
        self._policies = policies
        self._clock = clock

    async def sync(self, call: Call) -> Response:
        """Put a manifest in the place of the app's last one, unless that is newer."""
        body, now = call.read(MANIFEST), self._clock.now()
        app_id = call.path["app_id"]
        if body.app_id != app_id:
            raise InvalidBody([FieldFault("app_id", f"the path says {app_id!r}")])
        synced = await self._manifests.sync(body.manifest(now), since=self._clock.monotonic())
        state, previous = synced.state, synced.previous
        warnings = []
        if state.plan not in self._policies.snapshot.plan_ids:
            warnings.append(
                f"no policy knows the plan {state.plan!r}: users without one have the default plan"
            )
        _log.info(
            "manifest_synced",
            app_id=app_id,
            outcome=synced.outcome,
            tier=state.tier,
            correlation_id=body.correlation_id,
            warnings=warnings,
        )
        return json_response(
            {
                "status": synced.outcome,
                "app_id": app_id,
                "synced_at": state.synced_at,
                "previous_tier": previous and (previous.tier or None),
                "new_tier": state.tier or None,
                "error": None,
                "warnings": warnings,
            }
        )
