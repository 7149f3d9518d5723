"""How is it written that children of leases have ended, and what is answered? Briefly: draw.lua.

Nearly all of them end by a commit of which nothing is unusual. What is, `settling.py` asks of
lease.lua.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.adapters.redis.connection import Argument
from sidecar.adapters.redis.keys import app_prefix
from sidecar.adapters.redis.lease import Lease
from sidecar.adapters.redis.lines import Told
from sidecar.adapters.redis.operation import Operation

DONE: Final = "c"
UNUSUAL: Final = "x"
"""The letter of what was not even looked at, because its lease is not as nearly all are."""


@dataclass(slots=True, eq=False)
class Drawn:
    """What a call says of one lease of this process.

    Attributes:
        kept: see lease.lua.
    """

    lease: Lease
    operations: list[Operation]
    kept: list[int]


def written(apps: Mapping[str, Sequence[Drawn]]) -> tuple[list[str], list[Argument]]:
    """The keys and what stands behind the time, as draw.lua reads them, of leases by their apps."""
    keys: list[str] = []
    arguments: list[Argument] = [len(apps)]
    for app_id in apps:
        prefix = app_prefix(app_id)
        keys += (prefix, f"{prefix}:")
    for number, leases in enumerate(apps.values(), 1):
        for drawn in leases:
            account, kept = drawn.lease.account, drawn.kept
            keys += account.keys
            arguments += (
                number, *account.fixed, account.kept.pack(*kept) if kept else "",
                len(drawn.operations),
            )  # fmt: skip
            meters, pack = account.meters, account.numbers.pack
            for operation in drawn.operations:
                child, used, told = operation.child, operation.used, operation.told
                assert child is not None  # it is plain
                assert used is not None
                assert told is not None
                request = child.hold.request
                arguments += (
                    operation.reservation_id.partition(".")[2],
                    f"c {child.expires_ms // 1_000} {request.estimate.tokens} {told.tokens}",
                    operation.dimensions,
                    pack(
                        child.issued_ms,
                        told.tokens,
                        max(0, told.input_tokens),
                        max(0, told.output_tokens),
                        used.cost,
                        *[getattr(used, meter) if meter else 0 for meter in meters],
                    ),
                )
    return keys, arguments


def read(leases: Sequence[Drawn], told: Told, now_s: float) -> Iterator[tuple[Drawn, str]]:
    """The letters of each lease, which is told what the store tells of its counters."""
    letters, position, offset = told.lines[-1], 0, 0
    for drawn in leases:
        behind = position + len(drawn.operations)
        found = letters[position:behind]
        position = behind
        if UNUSUAL not in found:
            for operation, letter in zip(drawn.operations, found, strict=True):
                child = operation.child
                if letter == DONE and child is not None:
                    child.lease.settle(child, operation.used)
            shown = drawn.lease.account.shown
            drawn.lease.learn([*map(int, shown.unpack_from(told.numbers, offset))], now_s)
            offset += shown.size
        yield drawn, found
