"""How are subscriptions, requests and limits written down in a store?"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

from sidecar.domain.limits import Dimension, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.request import Amounts, CheckRequest, MeterKind, Subject
from sidecar.domain.subscription import Change, Status, Subscription
from sidecar.domain.value import fields_of
from sidecar.domain.windows import Fixed, parse_window

# What it costs is not asked: prices may have changed when the same request comes again.
_ASKED = tuple(name for name in fields_of(Amounts) if name != "cost")
_SUBJECT = fields_of(Subject)
_WORDS = ("action", "agent", "feature", "model", "plugin", "workflow")
_OWN = ("attributes", "session_id", "request_id")
_KEPT = 4096
# The limits of a plan are written for each of its users' holds. That they stand beside their text
# keeps their identities from being given to others.
_limits_written: dict[tuple[object, ...], tuple[Sequence[Limit], str]] = {}
_DATES = ("next_billing_date", "trial_end", "period_start", "period_end", "updated_at")


def write_request(request: CheckRequest) -> str:
    """A request as JSON, the same text for the same request."""
    subject, estimate = request.subject, request.estimate
    return _dump(
        {
            "plugin": request.plugin, "feature": request.feature, "action": request.action,
            "workflow": request.workflow, "agent": request.agent, "model": request.model,
            "session_id": request.session_id, "attributes": request.attributes,
            "reserve": request.reserve, "ttl_s": request.ttl_s, "request_id": request.request_id,
            "subject": {name: getattr(subject, name) for name in _SUBJECT},
            "estimate": {name: getattr(estimate, name) for name in _ASKED},
        }
    )  # fmt: skip


def write_briefly(request: CheckRequest) -> str:
    """A request for `read_request` alone, without what that takes for granted."""
    estimate, own = request.estimate, ""
    for name in _OWN:
        if told := getattr(request, name):
            own += f'"{name}":{_dump(told)},'
    words = _words(
        request.action, request.agent, request.feature, request.model, request.plugin,
        request.workflow,
    )  # fmt: skip
    subject = request.subject
    whose = _subject(subject.app_id, subject.tenant_id, subject.user_id)
    return (
        f'{{{words}{own}"subject":{whose},'
        f'"reserve":{"true" if request.reserve else "false"},"ttl_s":{request.ttl_s},'
        f'"estimate":{{"tokens":{estimate.tokens},"input_tokens":{estimate.input_tokens},'
        f'"output_tokens":{estimate.output_tokens},"requests":{estimate.requests},'
        f'"concurrency":{estimate.concurrency}}}}}'
    )


@lru_cache(_KEPT)
def _words(*told: str) -> str:
    """What runtimes ask for again and again."""
    pairs = zip(_WORDS, told, strict=True)
    return "".join(f'"{name}":{text_of(word)},' for name, word in pairs if word)


@lru_cache(_KEPT)
def _subject(app_id: str, tenant_id: str, user_id: str) -> str:
    """Who asks again and again."""
    return _dump({"app_id": app_id, "tenant_id": tenant_id, "user_id": user_id})


@lru_cache(16_384)
def text_of(text: str) -> str:
    """Text as JSON has it."""
    return orjson.dumps(text).decode()


def read_request(text: str) -> CheckRequest:
    """The request of `write_request`."""
    fields: dict[str, Any] = orjson.loads(text)
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
    del fields["is_dated"]
    for name in _DATES:
        fields[name] = _instant_text(fields[name])
    fields["history"] = [
        [change.updated_at.isoformat(), change.status.value, change.plan, change.event_id]
        for change in state.history
    ]
    return _dump(fields)


def read_subscription(text: str) -> Subscription:
    """The subscription of `write_subscription`; what a later version adds is left aside."""
    written: dict[str, Any] = orjson.loads(text)
    fields = {name: written[name] for name in fields_of(Subscription) if name in written}
    for name in _DATES:
        fields[name] = fields.get(name) and datetime.fromisoformat(fields[name])
    fields["status"] = Status(fields["status"])
    fields["history"] = tuple(
        Change(datetime.fromisoformat(at), Status(status), plan, event_id)
        for at, status, plan, event_id in fields.get("history", ())
    )
    return Subscription(**fields)


def short_digest(text: str) -> str:
    """A name of 16 characters for a caller's id, where millions of them are remembered."""
    return urlsafe_b64encode(hashlib.blake2b(text.encode(), digest_size=12).digest()).decode()


def write_limits(limits: Sequence[Limit], indexes: Sequence[int]) -> str:
    """What a commit needs to show the limits of a hold; `indexes` name the counters.

    Last in each row stand the scopes of the grants that the limit draws, as grants are stored; in
    front of them, where it is a balance, what of the counter it knows of already.
    """
    key = (indexes, *map(id, limits))
    known = _limits_written.get(key)
    if known is None:
        known = limits, _limits_text(limits, indexes)
        if len(_limits_written) >= _KEPT:
            _limits_written.clear()
        _limits_written[key] = known
    return known[1]


def _limits_text(limits: Sequence[Limit], indexes: Sequence[int]) -> str:
    return _dump(
        [
            [
                limit.id,
                limit.meter,
                limit.maximum,
                str(limit.window),
                limit.per,
                limit.mode,
                index,
                *([] if limit.base is None else [limit.base]),
                [quote(scope, safe="=") for scope in limit.scopes],
            ]
            for limit, index in zip(limits, indexes, strict=True)
        ]
    )


@lru_cache(_KEPT)
def read_limits(text: str) -> tuple[tuple[Limit, int], ...]:
    """The limits of `write_limits`, each with the index of its counter."""
    rows: list[list[Any]] = orjson.loads(text)
    return tuple(
        (
            Limit(
                id=name,
                meter=MeterKind(meter),
                maximum=maximum,
                window=parse_window(window) or Fixed.LIFETIME,
                per=tuple(map(Dimension, per)),
                mode=Mode(mode),
                base=rest[0] if len(rest) > 1 else None,
            ),
            index,
        )
        for name, meter, maximum, window, per, mode, index, *rest in rows
    )


def _instant_text(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _dump(value: Mapping[str, object] | Sequence[object]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
