"""What does draw.lua read of a lease, whoever of its children ends?"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.adapters.redis.keys import (
    app_prefix,
    grants_key,
    quoted,
    reservation_key,
    suffix_of,
)
from sidecar.domain.counting import Counter
from sidecar.domain.request import MeterKind
from sidecar.domain.usage import PLACE, token_of

_AS_IT_WAS = struct.Struct("<dddd")


@dataclass(frozen=True, slots=True)
class Account:
    """What is written of a lease in each call, prepared once.

    Attributes:
        keys: its record, the grants of its user, its counters.
        fixed: place, nonce, user, its counters, those with statements.
        meters: of its counters; None where nothing is ever used.
        numbers: how those of one child are packed.
        kept: how what is kept of each counter is packed.
        shown: how what is told of its counters is packed.
    """

    keys: tuple[str, ...]
    fixed: tuple[str | bytes, ...]
    meters: tuple[str | None, ...]
    numbers: struct.Struct
    kept: struct.Struct
    shown: struct.Struct


def account_of(
    app_id: str, user_id: str, id_: str, counters: Sequence[Counter], units: Sequence[int]
) -> Account:
    """That of a lease.

    Args:
        counters: as they are laid out when it is made.
        units: that were asked for it, of each.
    """
    prefix, token, size = app_prefix(app_id), token_of(id_), len(counters)
    place, nonce = token[:PLACE], token[PLACE:]
    form = b"".join(
        _AS_IT_WAS.pack(counter.kind == "s", counter.a, counter.b, held)
        for counter, held in zip(counters, units, strict=True)
    )
    stated = "".join(
        f"{i} {counter.name} {quoted(counter.limit)} {_bound(counter.included)}\n"
        for i, counter in enumerate(counters, 1)
        if counter.limit
    )
    return Account(
        keys=(
            reservation_key(prefix, place),
            grants_key(prefix, user_id),
            *(f"{prefix}:c:{counter.name}{suffix_of(counter)}" for counter in counters),
        ),
        fixed=(place, nonce, quoted(user_id), form, stated),
        meters=tuple(
            None if counter.meter is MeterKind.CONCURRENCY else counter.meter.value
            for counter in counters
        ),
        numbers=struct.Struct(f"<{5 + size}d"),
        kept=struct.Struct(f"<{size}d"),
        shown=struct.Struct(f"<{3 * size}d"),
    )


def _bound(units: int | None) -> int:
    return -1 if units is None else units
