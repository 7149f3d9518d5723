"""`sidecar serve` that notes a thousand times in each second of its CPU what it is at.

    python -m tests.benchmarks.sampled FILE serve ...

A hang-up by USR1 begins anew, one by USR2 writes what was noted to FILE. A signal is heard at the
next call or return of Python, so what C code does counts for whoever called it, and what the
kernel does for a socket counts for whoever is told of it next.
"""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

from sidecar.cli import main as run

EVERY_S: Final = 0.001

HTTP: Final = "HTTP"
DECODE: Final = "decode"
POLICY: Final = "policy"
METER: Final = "meter"
ENCODE: Final = "encode"
NOTES: Final = "metrics, records"
ROAD: Final = "the road of deciding"
OTHER: Final = "loop, kernel, rest"
PARTS: Final = (HTTP, DECODE, POLICY, METER, ENCODE, NOTES, ROAD, OTHER)

_ROOMS: Final = (
    ("sidecar/policy/", POLICY),
    ("sidecar/cel/", POLICY),
    ("<cel", POLICY),
    ("sidecar/adapters/metrics/", NOTES),
    ("sidecar/adapters/decisions/", NOTES),
    ("sidecar/adapters/tracing/", NOTES),
    ("sidecar/api/observed", NOTES),
    ("sidecar/adapters/clock", ROAD),
    ("sidecar/adapters/standby/", ROAD),
    ("sidecar/adapters/", METER),
    ("redis/", METER),
    ("sidecar/api/schemas", DECODE),
    ("sidecar/api/fields", DECODE),
    ("pydantic", DECODE),
    ("sidecar/api/render", ENCODE),
    ("sidecar/api/written", ENCODE),
    ("sidecar/api/answer", ENCODE),
    ("sidecar/api/", HTTP),
    ("sidecar/cli/http", HTTP),
    ("starlette/", HTTP),
    ("uvicorn/protocols/", HTTP),
    ("uvicorn/middleware/", HTTP),
    ("sidecar/pdp", ROAD),
    ("sidecar/facts", ROAD),
    ("sidecar/pricing", ROAD),
    ("sidecar/deferring", ROAD),
)
_DECODING: Final = frozenset({("sidecar/api/endpoint", "read")})


def part_of(code: CodeType) -> str | None:
    """The part that code belongs to, None where whoever called it says."""
    file = code.co_filename
    if any(place in file and code.co_name == name for place, name in _DECODING):
        return DECODE
    # What of an installed package matters begins behind this.
    file = file.rpartition("site-packages/")[2]
    return next((part for place, part in _ROOMS if place in file), None)


class Sampler:
    """Counts samples by part.

    Args:
        file: where they are written to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts: Counter[str] = Counter()
        self._known: dict[CodeType, str | None] = {}

    def begin(self) -> None:
        """Sample from now on."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._forget)
        signal.signal(signal.SIGUSR2, self._write)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        known = self._known
        while frame is not None:
            code = frame.f_code
            if code not in known:
                known[code] = part_of(code)
            part = known[code]
            if part is not None:
                self._counts[part] += 1
                return
            frame = frame.f_back
        self._counts[OTHER] += 1

    def _forget(self, *_: object) -> None:
        self._counts.clear()

    def _write(self, *_: object) -> None:
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self._counts))
        written.rename(self._file)


def main() -> None:
    """Run the command that is told, and sample it."""
    file = Path(sys.argv.pop(1))
    Sampler(file).begin()
    run()


if __name__ == "__main__":
    main()
