"""Which request is tried? The body of `POST /v1/explain`, from a file, changed member by member."""

import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sidecar.api.explain_schemas import EXPLAIN
from sidecar.api.faults import fault_of
from sidecar.cel import Timestamp, Uint
from sidecar.cel.settle import settled
from sidecar.domain.subscription import never_synced
from sidecar.errors import ConfigurationError
from sidecar.policy.session import Sample

DEFAULT: dict[str, Any] = {"app_id": "demo", "user_id": "ann"}
_STEP = re.compile(r"""\.([A-Za-z_]\w*)|\[(?:"([^"]*)"|'([^']*)')\]""")
_ROOT = re.compile(r"[a-z]+")
_COUNTERS = ("used", "reserved")


class NotASample(ConfigurationError):
    """What does not make a request; the message says which member."""


def sample_of(body: dict[str, Any]) -> Sample:
    """The request with what is given beside it; without a subscription none was ever synced.

    Raises:
        NotASample: it is none.
    """
    try:
        asked = EXPLAIN.validate_python(body)
    except ValidationError as error:
        raise NotASample(str(fault_of(error))) from None
    request = asked.request()
    now = asked.given.now or datetime.now(UTC)
    what_if = asked.given.what_if(request.subject, now)
    held = what_if.subscription or never_synced(request.subject)
    return Sample(request, held, what_if.counters, now)


def read_sample(file: Path) -> dict[str, Any]:
    """The body in a file.

    Raises:
        NotASample: it cannot be read, or holds no request.
    """
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotASample(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NotASample(f"{file}: this is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise NotASample(f"{file}: expected the body of POST /v1/explain")
    sample_of(body)
    return body


def with_member(body: dict[str, Any], path: str, value: object, plan: str) -> dict[str, Any]:
    """The body in which an expression's `path` has another value.

    Args:
        path: as `request.model`, `subscription.status`, `limits["daily"].used` or `now`.
        plan: that a subscription has which is not given yet.

    Raises:
        NotASample: there is no such member, or the value does not fit there.
    """
    changed = copy.deepcopy(body)
    given = changed.setdefault("given", {})
    match _steps(path):
        case ["request", "estimate", _] as steps:
            changed.pop("estimated_tokens", None)
            _put(changed, steps[1:], value)
        case ["request", "estimated_tokens"]:
            changed.pop("estimate", None)
            _put(changed, ["estimated_tokens"], value)
        case ["request", _, *_] as steps:
            _put(changed, steps[1:], value)
        case ["subscription", _, *_] as steps:
            given.setdefault("subscription", {"plan": plan or None})
            _put(given, steps, value)
        case ["limits", name, counter] if counter in _COUNTERS:
            _put(given, [counter, name], value)
        case ["wallet", "balance"]:
            given["wallet"] = {"balance": _as_json(value)}
        case ["now"]:
            given["now"] = _as_json(value)
        case _:
            raise NotASample(
                f"{path} follows from the policies; set a member of request or subscription, "
                'limits["id"].used or .reserved, wallet.balance, or now'
            )
    sample_of(changed)
    return changed


def _steps(path: str) -> list[str]:
    root = _ROOT.match(path)
    steps = [root[0]] if root else []
    at = len(steps[0]) if steps else 0
    while steps and at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return []
        steps.append(next(text for text in step.groups() if text is not None))
        at = step.end()
    return steps


def _put(inside: dict[str, Any], steps: list[str], value: object) -> None:
    for step in steps[:-1]:
        deeper = inside.setdefault(step, {})
        if not isinstance(deeper, dict):
            raise NotASample(f"{step} has no members")
        inside = deeper
    inside[steps[-1]] = _as_json(value)


def _as_json(value: object) -> object:
    """A value of the language as JSON has it."""
    match settled(value):
        case Timestamp() as instant:
            return str(instant)
        case Uint() as number:
            return int(number)
        case None | bool() | int() | float() | str() as plain:
            return plain
        case list() as items:
            return [_as_json(item) for item in items]
        case dict() as members:
            return {str(name): _as_json(item) for name, item in members.items()}
    raise NotASample("a request holds text, numbers, true, false, null, lists and maps")
