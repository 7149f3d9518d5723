"""A reservation that was given out while the store was away: its id says what it was for.

Whoever hears of its end, this process or another, now or after the fault, can charge it. In front
stands the id of the hold that was asked of the store: it may have been made all the same.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final

from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import app_of
from sidecar.domain.value import value
from sidecar.domain.windows import from_ms, to_ms

_DOT: Final = "."
_LONGEST: Final = 3_072
_NAMES: Final = ("model", "plugin", "session_id", "workflow", "agent", "feature", "action")
"""What a request is counted by beside its subject; where an id would be too long, the last go."""


@value
class Provisional:
    """What the id of such a reservation says.

    Attributes:
        hold_id: of the hold that was asked of the store.
        at: when it was given out.
        request: without attributes: what an id says is seen by everybody who sees the id.
    """

    hold_id: str
    at: datetime
    request: CheckRequest

    @property
    def id(self) -> str:
        """The id that is given out."""
        request = self.request
        said = [getattr(request, name) for name in _NAMES]
        while len(encoded := self._encoded(said)) > _LONGEST and said:
            said.pop()
        return self.hold_id + _DOT + encoded

    @property
    def event_id(self) -> str:
        """Of the event that charges it."""
        return f"commit:{self.hold_id}"

    def _encoded(self, said: list[str]) -> str:
        request, estimate = self.request, self.request.estimate
        subject = request.subject
        units = estimate.tokens, estimate.input_tokens, estimate.output_tokens
        numbers = (to_ms(self.at), request.ttl_s, *units)
        content = [*numbers, subject.user_id, subject.tenant_id, *said]
        while len(content) > len(numbers) + 2 and not content[-1]:
            content.pop()
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def read_provisional(reservation_id: str) -> Provisional | None:
    """What an id says, None if it is that of a reservation in the store."""
    hold_id, dot, encoded = reservation_id.rpartition(_DOT)
    # Of the others each has one dot, between its app and its token.
    if not dot or _DOT not in hold_id:
        return None
    app_id = app_of(hold_id)
    try:
        text = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        at_ms, ttl_s, tokens, received, sent, user_id, tenant_id, *said = json.loads(text)
        units = tokens, received, sent
        request = CheckRequest(
            Subject(app_id or "", user_id, tenant_id),
            estimate=Amounts(*units, requests=1, concurrency=1),
            reserve=True,
            ttl_s=ttl_s,
            **dict(zip(_NAMES, said, strict=False)),
        )
        numbers = all(isinstance(number, int) for number in (at_ms, ttl_s, *units))
        texts = all(isinstance(text, str) for text in (user_id, tenant_id, *said))
        at = from_ms(at_ms)
    except (ValueError, TypeError, OverflowError):
        return None
    return Provisional(hold_id, at, request) if app_id and numbers and texts else None
