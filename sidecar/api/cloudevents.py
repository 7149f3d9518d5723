"""How does a CloudEvent carry an event of use? CloudEvents 1.0: structured, batched, binary.

Its `data` is the event as the runtime writes it. Its `source` and `id` together are the event's
id; its `time` and `subject` stand in for an `event_ts` and a `user_id` that the data lacks. Its
`type` says only whether it is a summary.
Sources: the CloudEvents specification 1.0.2, its JSON format and its HTTP protocol binding.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from pydantic_core import from_json

from sidecar.api.faults import FieldFault, InvalidBody

_STRUCTURED: Final = b"application/cloudevents+json"
_BATCH: Final = b"application/cloudevents-batch+json"
_OTHER_FORMAT: Final = b"application/cloudevents"
_REQUIRED: Final = ("id", "source", "type")
_SUMMARY: Final = "chat.usage_summary"
_JSON: Final = re.compile(r"[\w.+-]+/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE)


def is_cloud_event(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request says that it is one, or several."""
    media_type = headers.get(b"content-type", b"").lower()
    return media_type.startswith(_OTHER_FORMAT) or b"ce-specversion" in headers


def is_batch(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the body is a list of them."""
    return _media_type(headers) == _BATCH


def envelope_of(headers: Mapping[bytes, bytes], body: object) -> object:
    """The attributes of the event, or of the events, with their data; `body` was JSON.

    Raises:
        InvalidBody: it is in a format other than JSON.
    """
    media_type = _media_type(headers)
    if media_type in (_STRUCTURED, _BATCH):
        return body
    if media_type.startswith(_OTHER_FORMAT):
        raise _fault("content-type", "CloudEvents are read in the JSON format")
    # In binary mode the attributes are headers, percent-encoded where they are not plain ASCII.
    attributes: dict[str, object] = {
        name[3:].decode("latin-1"): unquote(value.decode("latin-1"))
        for name, value in headers.items()
        if name.startswith(b"ce-")
    }
    return attributes | {"data": body}


def event_of(envelope: object) -> dict[str, object]:
    """The event of use that a CloudEvent carries, still to be judged.

    Raises:
        InvalidBody: it is no CloudEvent 1.0 with JSON in it.
    """
    if not isinstance(envelope, dict):
        raise _fault("body", "a CloudEvent is an object")
    version = envelope.get("specversion")
    if version != "1.0":
        raise _fault("specversion", "only CloudEvents 1.0 are known")
    for name in _REQUIRED:
        if not isinstance(envelope.get(name), str) or not envelope[name]:
            raise _fault(name, "a CloudEvent needs it, as text")
    data = _data(envelope)
    if not isinstance(data, dict):
        raise _fault("data", "expected an event of use, as an object")
    stand_ins = {"event_ts": envelope.get("time"), "user_id": envelope.get("subject")}
    lacking = {
        name: value
        for name, value in stand_ins.items()
        if value is not None and data.get(name) is None
    }
    return data | lacking | {"event_id": _event_id(str(envelope["source"]), str(envelope["id"]))}


def is_summary(envelope: object) -> bool:
    """Whether what it carries is what a session came to so far."""
    return isinstance(envelope, dict) and envelope.get("type") == _SUMMARY


def _data(envelope: Mapping[str, object]) -> object:
    encoded = envelope.get("data_base64")
    if encoded is None:
        media_type = envelope.get("datacontenttype")
        if media_type is not None and not _JSON.fullmatch(str(media_type)):
            raise _fault("datacontenttype", "the data is to be JSON")
        return envelope.get("data")
    try:
        return from_json(base64.b64decode(str(encoded), validate=True))
    except (binascii.Error, ValueError):
        raise _fault("data_base64", "not JSON in base64") from None


def _event_id(source: str, name: str) -> str:
    # No two pairs collide, and neither may be as long as an event's id may not.
    return "ce:" + hashlib.sha256(f"{len(source)}:{source}{name}".encode()).hexdigest()


def _media_type(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _fault(field: str, message: str) -> InvalidBody:
    return InvalidBody([FieldFault(field, message)])
