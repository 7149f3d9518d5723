"""In which words is the control plane told of an accepted event?"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sidecar.domain.event_log import LoggedEvent

_TYPES: Mapping[str, str] = {"delta": "token_usage", "summary": "token_usage_summary"}
"""A summary is no use beside that of its session's deltas: who adds up must be able to tell."""


def as_it_came(event: LoggedEvent) -> str:
    """One event in the words of the runtime."""
    told = orjson.loads(event.body)
    del told["kind"]
    return orjson.dumps(told).decode()


def as_events(events: Sequence[LoggedEvent]) -> str:
    """Several events in the words of the platform."""
    return orjson.dumps({"events": [_usage(orjson.loads(event.body)) for event in events]}).decode()


def _usage(told: Mapping[str, Any]) -> dict[str, object]:
    return {
        "event_type": _TYPES[told["kind"]],
        "app_id": told["app_id"],
        "user_id": told["user_id"],
        "timestamp": told["event_ts"],
        "data": {
            "workflow_id": told["workflow_name"],
            "model": told.get("model_name"),
            "input_tokens": told["prompt_tokens"],
            "output_tokens": told["completion_tokens"],
            "total_tokens": told["total_tokens"],
        },
    }
