"""What was used, as the runtime reports it."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import (
    Field,
    TypeAdapter,
    model_validator,
)

from sidecar.api.fields import MAX_RESERVATION_ID, Body, Count, Instant, Name, Text
from sidecar.domain.request import MAX_INTEGER, Amounts, CheckRequest, Subject
from sidecar.domain.usage import UsageEvent

MAX_EVENTS = 1_000
OLDEST_EVENT = timedelta(days=7)
EVENT_AHEAD = timedelta(minutes=5)
_RARE = ("tenant_id", "plugin", "cached", "duration_sec", "invocation_id", "reservation_id")


class UsageEventBody(Body):
    """One `chat.usage_delta` of the runtime."""

    event_id: Text | None = None
    event_ts: Instant | None = None
    chat_id: Text | None = None
    app_id: Name
    user_id: Name
    tenant_id: Text | None = None
    workflow_name: Text | None = None
    agent_name: Text | None = None
    model_name: Text | None = None
    plugin: Text | None = None
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count | None = None
    cached: bool | Count | None = None
    duration_sec: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    invocation_id: Text | None = None
    reservation_id: Annotated[str, Field(max_length=MAX_RESERVATION_ID)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.prompt_tokens + self.completion_tokens > MAX_INTEGER:
            raise ValueError("the tokens add up to more than 2^53-1")
        return self

    def event(self, now: datetime) -> UsageEvent:
        """The use that is reported.

        Raises:
            ValueError: it is too old, or lies in the future.
        """
        at = self.event_ts or now
        if at < now - OLDEST_EVENT:
            raise ValueError("event_ts: more than 7 days old")
        if at > now + EVENT_AHEAD:
            raise ValueError("event_ts: more than 5 minutes ahead")
        total = self.total_tokens
        used = Amounts(
            tokens=self.prompt_tokens + self.completion_tokens if total is None else total,
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            requests=1,
        )
        request = CheckRequest(
            subject=Subject(self.app_id, self.user_id, self.tenant_id or ""),
            plugin=self.plugin or "",
            workflow=self.workflow_name or "",
            agent=self.agent_name or "",
            model=self.model_name or "",
            session_id=self.chat_id or "",
            estimate=used,
        )
        event_id = self.event_id or self._digest(used)
        return UsageEvent(
            event_id, at, request, used, self.reservation_id or "",
            told=self._told(event_id, at, used.tokens),
        )  # fmt: skip

    def _told(self, event_id: str, at: datetime, total: int) -> dict[str, object]:
        """The event with an id, a time and a total; what is rare only where it is said."""
        rare = {name: value for name in _RARE if (value := getattr(self, name)) not in (None, "")}
        return {
            "kind": "delta",
            "event_id": event_id,
            "event_ts": at,
            "chat_id": self.chat_id,
            "app_id": self.app_id,
            "user_id": self.user_id,
            "workflow_name": self.workflow_name,
            "agent_name": self.agent_name,
            "model_name": self.model_name,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": total,
            **rare,
        }

    def _digest(self, used: Amounts) -> str:
        """What stands for an id, the same however the same event was written."""
        stated = self.model_dump(mode="json", exclude={"event_id"}, exclude_defaults=True)
        said = {name: value for name, value in stated.items() if value != ""}
        canonical = json.dumps(
            said | {"total_tokens": used.tokens}, sort_keys=True, separators=(",", ":")
        )
        return "body:" + hashlib.sha256(canonical.encode()).hexdigest()


USAGE_EVENT = TypeAdapter(UsageEventBody)
