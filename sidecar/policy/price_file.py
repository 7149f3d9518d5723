"""From a price file to the rates of its models, or to everything that is wrong with it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from pathlib import Path

from sidecar.domain.prices import Rates
from sidecar.policy.diagnostics import MOST_FINDINGS, Diagnostic, InvalidPrices, did_you_mean
from sidecar.policy.files import content_of, source_of
from sidecar.policy.globs import Globs, is_wild
from sidecar.policy.overlaps import common_name
from sidecar.policy.price_format import PriceFile, RatesSection
from sidecar.policy.prices import PriceList
from sidecar.policy.reader import read_prices
from sidecar.policy.source import SourceFile


def load_prices(path: Path) -> PriceList:
    """The prices of a file.

    Raises:
        InvalidPrices: with every finding.
        ConfigurationError: there is no such file.
    """
    return prices_of(path, content_of(path))


def prices_of(path: Path, content: bytes) -> PriceList:
    """The prices of what was read from a file.

    Raises:
        InvalidPrices: with every finding.
    """
    # A price is exact: its text is never made a binary fraction.
    source = source_of(path, content, kind="Prices", fraction=str)
    if isinstance(source, Diagnostic):
        raise InvalidPrices([source])
    file, findings = read_prices(source)
    if file is not None:
        findings = (*findings, *_misfits(source, file))
    if findings or file is None:
        raise InvalidPrices(findings)
    return PriceList(
        file.currency,
        {name: _rates(section) for name, section in file.models.items()},
        file.aliases,
        None if file.default is None else _rates(file.default),
        hashlib.sha256(content).digest(),
    )


def is_price_file(source: SourceFile) -> bool:
    """Whether a file says that it holds prices."""
    match source.plain():
        case {"kind": "Prices"}:
            return True
    return False


def _rates(section: RatesSection) -> Rates:
    return Rates(section.input, section.output)


def _misfits(source: SourceFile, file: PriceFile) -> Iterator[Diagnostic]:
    known = Globs(list(file.models))
    whole = not source.is_damaged(("models",))
    for alias, name in file.aliases.items():
        path = ("aliases", alias)
        if is_wild(alias):
            message = f"{alias!r} is a glob, and an alias is one name"
            yield source.report("B4", message, path, hint="price it under models", key=True)
        elif alias in file.models:
            message = f"{alias!r} has a price of its own, so it is no other model's name"
            yield source.report("B4", message, path, hint="leave one of the two out", key=True)
        elif whole and not known.match(name):
            hint = did_you_mean(name, [model for model in file.models if not is_wild(model)])
            yield source.report("C1", f"no model {name!r}", path, hint=hint)
    yield from islice(_ties(source, list(file.models)), MOST_FINDINGS)


def _ties(source: SourceFile, models: Sequence[str]) -> Iterator[Diagnostic]:
    """Globs of one length that match the same name: neither of them is the closer one."""
    by_length: dict[int, list[str]] = defaultdict(list)
    for glob in filter(is_wild, models):
        by_length[len(glob)].append(glob)
    for one, other in (pair for globs in by_length.values() for pair in combinations(globs, 2)):
        name = common_name(one, other)
        if name is not None:
            line = source.place(("models", one), key=True).line
            message = f"{other!r} and {one!r} in line {line} are equally close to {name!r}"
            hint = "write more of the name in one of them"
            yield source.report("F1", message, ("models", other), hint=hint, key=True)
