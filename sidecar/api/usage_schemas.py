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
from sidecar.domain.usage import EventKind, UsageEvent

MAX_EVENTS = 1_000
OLDEST_EVENT = timedelta(days=7)
EVENT_AHEAD = timedelta(minutes=5)
_ALWAYS = (
    "chat_id", "app_id", "user_id", "workflow_name", "agent_name", "model_name", "prompt_tokens",
    "completion_tokens",
)  # fmt: skip
_RARE = ("tenant_id", "plugin", "cached", "duration_sec", "invocation_id", "reservation_id")


class _Report(Body):
    """What all reports of use have."""

    event_id: Text | None = None
    event_ts: Instant | None = None
    chat_id: Text | None = None
    app_id: Name
    user_id: Name
    tenant_id: Text | None = None
    workflow_name: Text | None = None
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.prompt_tokens + self.completion_tokens > MAX_INTEGER:
            raise ValueError("the tokens add up to more than 2^53-1")
        return self

    def _at(self, now: datetime) -> datetime:
        at = self.event_ts or now
        if at < now - OLDEST_EVENT:
            raise ValueError("event_ts: more than 7 days old")
        if at > now + EVENT_AHEAD:
            raise ValueError("event_ts: more than 5 minutes ahead")
        return at

    def _used(self, requests: int) -> Amounts:
        total = self.total_tokens
        return Amounts(
            tokens=self.prompt_tokens + self.completion_tokens if total is None else total,
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            requests=requests,
        )

    def _told(self, kind: EventKind, event_id: str, at: datetime, total: int) -> dict[str, object]:
        """The event with an id, a time and a total; what is rare only where it is said."""
        said = vars(self)
        return {
            "kind": kind.value,
            "event_id": event_id,
            "event_ts": at,
            **{name: said[name] for name in _ALWAYS if name in said},
            "total_tokens": total,
            **{name: said[name] for name in _RARE if said.get(name) not in (None, "")},
        }

    def _id(self, used: Amounts, digested: str) -> str:
        """What it says of itself, or what stands for that: the same however it was written."""
        if self.event_id:
            return self.event_id
        stated = self.model_dump(mode="json", exclude={"event_id"}, exclude_defaults=True)
        said = {name: value for name, value in stated.items() if value != ""}
        canonical = json.dumps(
            said | {"total_tokens": used.tokens}, sort_keys=True, separators=(",", ":")
        )
        return f"{digested}:" + hashlib.sha256(canonical.encode()).hexdigest()


class UsageEventBody(_Report):
    """One `chat.usage_delta` of the runtime."""

    agent_name: Text | None = None
    model_name: Text | None = None
    plugin: Text | None = None
    cached: bool | Count | None = None
    duration_sec: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    invocation_id: Text | None = None
    reservation_id: Annotated[str, Field(max_length=MAX_RESERVATION_ID)] | None = None

    def event(self, now: datetime) -> UsageEvent:
        """The use that is reported.

        Raises:
            ValueError: it is too old, or lies in the future.
        """
        at, used = self._at(now), self._used(requests=1)
        request = CheckRequest(
            subject=Subject(self.app_id, self.user_id, self.tenant_id or ""),
            plugin=self.plugin or "",
            workflow=self.workflow_name or "",
            agent=self.agent_name or "",
            model=self.model_name or "",
            session_id=self.chat_id or "",
            estimate=used,
        )
        event_id = self._id(used, "body")
        return UsageEvent(
            event_id, at, request, used, self.reservation_id or "",
            told=self._told(EventKind.DELTA, event_id, at, used.tokens),
        )  # fmt: skip


class UsageSummaryBody(_Report):
    """One `chat.usage_summary` of the runtime: what a session came to so far."""

    chat_id: Name

    def event(self, now: datetime) -> UsageEvent:
        """The total that is reported; it is no request.

        Raises:
            ValueError: it is too old, or lies in the future.
        """
        at, used = self._at(now), self._used(requests=0)
        request = CheckRequest(
            subject=Subject(self.app_id, self.user_id, self.tenant_id or ""),
            workflow=self.workflow_name or "",
            session_id=self.chat_id,
            estimate=used,
        )
        event_id, kind = self._id(used, "summary"), EventKind.SUMMARY
        told = self._told(kind, event_id, at, used.tokens)
        return UsageEvent(event_id, at, request, used, kind=kind, told=told)


USAGE_EVENT = TypeAdapter(UsageEventBody)
USAGE_SUMMARY = TypeAdapter(UsageSummaryBody)
