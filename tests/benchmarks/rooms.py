"""Which part of the server does a piece of code belong to?"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

HTTP: Final = "HTTP"
DECODE: Final = "decode"
POLICY: Final = "policy"
METER: Final = "meter"
ENCODE: Final = "encode"
NOTES: Final = "metrics, records"
ROAD: Final = "the road of deciding"
KERNEL: Final = "event loop and kernel"
"""What libuv does for no Python code: it waits, reads and writes."""
PARTS: Final = (KERNEL, HTTP, DECODE, POLICY, METER, ENCODE, NOTES, ROAD)
MEANT: Final = {
    KERNEL: "waiting, reading and writing by libuv, and what no other part is known to have called",
    HTTP: "uvicorn, routing, keys, the endpoints",
    DECODE: "the body until it is a request",
    POLICY: "all of sidecar/policy and sidecar/cel and the code made of rules: the plan, globs,"
    " context of rules, rules, limits that apply, the verdict",
    METER: "counters and subscriptions: what is sent to Redis and made of its replies",
    ENCODE: "a decision until it is bytes",
    NOTES: "counters of /metrics, log and trace of decisions",
    ROAD: "what calls these one after another",
}
"""What counts for each; code that belongs nowhere counts for whoever called it."""

_ROOMS: Final = (
    ("sidecar/policy/", POLICY),
    ("sidecar/cel/", POLICY),
    ("<cel>", POLICY),
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
    ("sidecar/cli/serve", KERNEL),
    ("sidecar/cli/workers", KERNEL),
    ("sidecar/cli/commands", KERNEL),
    ("sidecar/cli/__init__", KERNEL),
    ("sidecar/cli/", HTTP),
    ("starlette/", HTTP),
    ("uvicorn/protocols/", HTTP),
    ("uvicorn/middleware/", HTTP),
    ("sidecar/pdp", ROAD),
    ("sidecar/facts", ROAD),
    ("sidecar/pricing", ROAD),
    ("sidecar/deferring", ROAD),
)
_DECODING: Final = ("read", "sidecar/api/endpoint")


def part_of(frame: str) -> str | None:
    """The part that a line of a stack belongs to, None where whoever called it says.

    Args:
        frame: `function (file)`.
    """
    name, _, file = frame.partition(" (")
    if name == _DECODING[0] and _DECODING[1] in file:
        return DECODE
    # What of an installed package matters begins behind this.
    file = file.rpartition("site-packages/")[2]
    return next((part for place, part in _ROOMS if place in file), None)


def counted(stacks: Iterable[str]) -> Counter[str]:
    """Samples by part, of the thread that answers.

    Args:
        stacks: each `thread;outermost;…;innermost 7`, the number of samples behind it.
    """
    counts: Counter[str] = Counter()
    for frames, number in _answering(stacks):
        counts[_part_at_work(frames)] += number
    return counts


def entered(stacks: Iterable[str], part: str) -> Counter[str]:
    """Samples of one part, by the function through which it was entered."""
    counts: Counter[str] = Counter()
    for frames, number in _answering(stacks):
        if _part_at_work(frames) == part:
            way = next(frame for frame in frames if part_of(frame) == part)
            counts[way.partition(" (")[0]] += number
    return counts


def _answering(stacks: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    for line in stacks:
        stack, _, number = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if thread.endswith("MainThread"):
            yield frames, int(number)


def _part_at_work(frames: list[str]) -> str:
    parts = map(part_of, reversed(frames))
    return next((part for part in parts if part is not None), KERNEL)
