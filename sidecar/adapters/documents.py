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

_KEPT = 4096
# The limits of a plan are written for each of its users' holds. That they stand beside their text
# keeps their identities from being given to others.
_limits_written: dict[tuple[object, ...], tuple[Sequence[Limit], str]] = {}
_DATES = ("next_billing_date", "trial_end", "period_start", "period_end", "updated_at")


def write_request(request: CheckRequest) -> str:
    """A request as JSON, the same text for the same request: each name in its order.

    What it costs is not asked: prices may have changed when the same request comes again.
    """
    subject, estimate = request.subject, request.estimate
    first, second, last = _words(
        request.action, request.agent, request.feature, request.model, request.plugin,
        request.workflow,
    )  # fmt: skip
    attributes = _dump(request.attributes) if request.attributes else "{}"
    return (
        f'{first}"attributes":{attributes},"estimate":{{"concurrency":{estimate.concurrency},'
        f'"input_tokens":{estimate.input_tokens},"output_tokens":{estimate.output_tokens},'
        f'"requests":{estimate.requests},"tokens":{estimate.tokens}}},{second}'
        f'"request_id":{_own(request.request_id)},'
        f'"reserve":{"true" if request.reserve else "false"},'
        f'"session_id":{_own(request.session_id)},"subject":'
        f'{{"app_id":{text_of(subject.app_id)},"tenant_id":{text_of(subject.tenant_id)},'
        f'"user_id":{text_of(subject.user_id)}}},"ttl_s":{request.ttl_s},{last}'
    )


@lru_cache(4_096)
def _words(
    action: str, agent: str, feature: str, model: str, plugin: str, workflow: str
) -> tuple[str, str, str]:
    """What runtimes ask for again and again, as the three pieces that it is of a request."""
    return (
        f'{{"action":{text_of(action)},"agent":{text_of(agent)},',
        f'"feature":{text_of(feature)},"model":{text_of(model)},"plugin":{text_of(plugin)},',
        f'"workflow":{text_of(workflow)}}}',
    )


@lru_cache(16_384)
def text_of(text: str) -> str:
    """Text as JSON has it."""
    return orjson.dumps(text).decode()


def _own(text: str) -> str:
    """The same of what hardly ever comes again, or is empty."""
    return _dump(text) if text else '""'


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
    rows: list[tuple[Any, ...]] = orjson.loads(text)
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
