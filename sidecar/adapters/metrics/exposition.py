"""How are numbers told? In the text format of Prometheus, those of all workers in one.

Source: https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from sidecar.adapters.metrics.catalogue import METRICS
from sidecar.adapters.metrics.cells import Row
from sidecar.adapters.metrics.described import Kind, Metric

Labels = tuple[str, ...]

_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposed(rows: Iterable[Row]) -> str:
    """What all rows come to, each metric with its words, whether it was ever counted or not."""
    known = {metric.name: metric for metric in METRICS}
    found: dict[str, dict[Labels, list[list[int]]]] = defaultdict(lambda: defaultdict(list))
    for place, values, is_live in rows:
        metric = known.get(place.name)
        # What went up and down with a process is gone with it.
        if metric is not None and (is_live or metric.kind is not Kind.GAUGE):
            found[place.name][place.labels].append(values)
    lines: list[str] = []
    for metric in METRICS:
        lines += _told(metric, found.get(metric.name, {}))
    return "\n".join(lines) + "\n"


def _told(metric: Metric, found: Mapping[Labels, list[list[int]]]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for labels, rows in sorted(found.items()):
        together = metric.together if metric.kind is Kind.GAUGE else sum
        values = [together(each) for each in zip(*rows, strict=True)]
        pairs = [
            f'{name}="{value.translate(_ESCAPED)}"'
            for name, value in zip(metric.labels, labels, strict=True)
        ]
        if metric.kind is Kind.HISTOGRAM:
            yield from _buckets(metric, pairs, values)
        else:
            yield f"{metric.name}{_braced(pairs)} {_number(values[0], metric.unit)}"


def _buckets(metric: Metric, pairs: Sequence[str], values: Sequence[int]) -> Iterator[str]:
    *counts, total = values
    upwards = list(accumulate(counts))
    for bound, count in zip((*metric.bounds, "+Inf"), upwards, strict=True):
        up_to = f'le="{bound}"'
        yield f"{metric.name}_bucket{_braced([*pairs, up_to])} {count}"
    yield f"{metric.name}_sum{_braced(pairs)} {_number(total, metric.unit)}"
    yield f"{metric.name}_count{_braced(pairs)} {upwards[-1]}"


def _braced(pairs: Sequence[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _number(value: int, unit: int) -> str:
    return str(value) if unit == 1 else repr(value / unit)
