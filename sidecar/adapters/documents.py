"""How are subscriptions, requests and limits written down in a store?"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sidecar.domain.limits import Charge, Dimension, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.request import Amounts, CheckRequest, MeterKind, Subject
from sidecar.domain.subscription import Change, Status, Subscription
from sidecar.domain.windows import Fixed, parse_window

_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False)
_DATES = ("next_billing_date", "trial_end", "period_start", "period_end", "updated_at")


def write_request(request: CheckRequest) -> str:
    """A request as JSON, the same text for the same request."""
    return _dump(
        {
            **{
                name: getattr(request, name)
                for name in (
                    "plugin", "feature", "action", "workflow", "agent", "model", "session_id",
                    "attributes", "reserve", "ttl_s", "request_id",
                )
            },
            "subject": _fields(request.subject, Subject.__slots__),
            "estimate": _fields(request.estimate, Amounts.__slots__),
        }
    )  # fmt: skip


def read_request(text: str) -> CheckRequest:
    """The request of `write_request`."""
    fields: dict[str, Any] = json.loads(text)
    subject, estimate = fields.pop("subject"), fields.pop("estimate")
    return CheckRequest(subject=Subject(**subject), estimate=Amounts(**estimate), **fields)


def fingerprint(document: str) -> str:
    """A digest of a written request: another body has another one."""
    return hashlib.blake2b(document.encode(), digest_size=16).hexdigest()


def digest(text: str) -> str:
    """A short name for a caller's id of any length."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write_subscription(state: Subscription) -> str:
    """A subscription as JSON."""
    fields = asdict(replace(state, history=()))
    for name in _DATES:
        fields[name] = _instant_text(fields[name])
    fields["history"] = [
        [change.updated_at.isoformat(), change.status.value, change.plan, change.event_id]
        for change in state.history
    ]
    return _dump(fields)


def read_subscription(text: str) -> Subscription:
    """The subscription of `write_subscription`; what a later version adds is left aside."""
    written: dict[str, Any] = json.loads(text)
    fields = {name: written[name] for name in Subscription.__slots__ if name in written}
    for name in _DATES:
        fields[name] = fields.get(name) and datetime.fromisoformat(fields[name])
    fields["status"] = Status(fields["status"])
    fields["history"] = tuple(
        Change(datetime.fromisoformat(at), Status(status), plan, event_id)
        for at, status, plan, event_id in fields.get("history", ())
    )
    return Subscription(**fields)


def write_limits(charges: Sequence[Charge], indexes: Sequence[int]) -> str:
    """What a commit needs to show the limits of a hold; `indexes` name the counters."""
    return _dump(
        [
            [
                charge.limit.id,
                charge.limit.meter.value,
                charge.limit.maximum,
                str(charge.limit.window),
                [dimension.value for dimension in charge.limit.per],
                charge.limit.mode.value,
                index,
            ]
            for charge, index in zip(charges, indexes, strict=True)
        ]
    )


def read_limits(text: str) -> list[tuple[Limit, int]]:
    """The limits of `write_limits`, each with the index of its counter."""
    rows: list[tuple[str, str, int | None, str, list[str], str, int]] = json.loads(text)
    return [
        (
            Limit(
                id=name,
                meter=MeterKind(meter),
                maximum=maximum,
                window=parse_window(window) or Fixed.LIFETIME,
                per=tuple(map(Dimension, per)),
                mode=Mode(mode),
            ),
            index,
        )
        for name, meter, maximum, window, per, mode, index in rows
    ]


def _fields(value: object, names: Iterable[str]) -> dict[str, object]:
    # As dataclasses.asdict, without its deep copy: a request is written at every hold.
    return {name: getattr(value, name) for name in names}


def _instant_text(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _dump(value: Mapping[str, object] | Sequence[object]) -> str:
    return _ENCODER.encode(value)
