"""Which limit binds, for clients that read headers? draft-ietf-httpapi-ratelimit-headers-10."""

from math import inf
from typing import Final

from sidecar.api.refusals import seconds_until
from sidecar.api.written import OfLimits
from sidecar.domain.decision import Decision
from sidecar.domain.limits import Limit, Reading
from sidecar.domain.windows import Sliding

Header = tuple[bytes, bytes]


def rate_limit(decision: Decision) -> tuple[Header, ...]:
    """The fields for the limit that binds, if any has a bound."""
    binding = _binding(decision)
    if binding is None:
        return ()
    policy, state = _KNOWN.of(binding.limit)
    state += b"%d" % (binding.remaining or 0)
    if binding.resets_at is not None:
        state += b";t=%d" % seconds_until(binding.resets_at, decision.at)
    return policy, (b"ratelimit", state)


def _binding(decision: Decision) -> Reading | None:
    """The limit that refuses first, else the one with the least part of it left."""
    refusing = {reason.id for reason in decision.reasons if reason.refuses}
    binding, least = None, inf
    for reading in decision.readings:
        maximum = reading.limit.maximum
        if maximum is None:
            continue
        if reading.limit.id in refusing:
            return reading
        part = (reading.remaining or 0) / (maximum or 1)
        if part < least:
            binding, least = reading, part
    return binding


def _known(limit: Limit) -> tuple[Header, bytes]:
    """What is said of a limit beforehand: its policy, and what its state begins with."""
    name = limit.id.encode("latin-1")
    policy = b'"%b";q=%d' % (name, max(0, limit.maximum or 0))
    if isinstance(limit.window, Sliding):
        policy += b";w=%d" % (limit.window.length_ms // 1000)
    return (b"ratelimit-policy", policy), b'"%b";r=' % name


_KNOWN: Final = OfLimits(_known)
