"""Who has another maximum for a time, and is it always clear which one holds?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, islice

from sidecar.policy.compiled import Override, Overrides
from sidecar.policy.diagnostics import MOST_FINDINGS
from sidecar.policy.format import OverrideSection
from sidecar.policy.names import Ids, refuse_unknown
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit


@dataclass(frozen=True, slots=True)
class _Placed:
    """An override with its place."""

    override: Override
    unit: Unit
    path: Path


def compile_overrides(
    units: Sequence[Unit], ids: Ids, limits: Collection[str], lost: Collection[str]
) -> Mapping[str, Overrides]:
    """The overrides of each limit; two that tie are reported."""
    by_limit: dict[str, list[_Placed]] = {}
    for unit in units:
        for index, section in enumerate(unit.file.overrides):
            path: Path = ("overrides", index)
            ids.claim(unit, section.id, "override", (*path, "id"))
            refuse_unknown(unit, "limit", section.limit, limits, lost, (*path, "limit"))
            if _is_sound(unit, section, path):
                placed = _Placed(_override(unit, section, path), unit, path)
                by_limit.setdefault(section.limit, []).append(placed)
    compiled = {}
    for limit, all_placed in by_limit.items():
        compiled[limit] = Overrides(placed.override for placed in all_placed)
        _refuse_ties(limit, all_placed, compiled[limit])
    return compiled


def _is_sound(unit: Unit, section: OverrideSection, path: Path) -> bool:
    if section.from_ and section.until and section.until <= section.from_:
        hint = "until is the later of the two"
        unit.report("B6", "this override ends before it begins", (*path, "until"), hint=hint)
        return False
    if unit.source.is_damaged(path):
        return False
    if not (section.for_.apps or section.for_.tenants or section.for_.users):
        hint = "name apps, tenants or users"
        unit.report("B2", "this override is for nobody", (*path, "for"), hint=hint)
        return False
    return True


def _override(unit: Unit, section: OverrideSection, path: Path) -> Override:
    return Override(
        id=section.id,
        apps=frozenset(section.for_.apps or ()),
        tenants=frozenset(section.for_.tenants or ()),
        users=frozenset(section.for_.users or ()),
        maximum=section.max,
        begins=section.from_,
        ends=section.until,
        origin=unit.origin(path),
    )


def _refuse_ties(limit: str, all_placed: Sequence[_Placed], overrides: Overrides) -> None:
    order = {id(placed.override): index for index, placed in enumerate(all_placed)}
    pairs = (
        tuple(sorted((order[id(one)], order[id(other)])))
        for sharing in overrides.sharing()
        for one, other in combinations(sharing, 2)
        if _tie(one, other)
    )
    # Two that name several subjects in common tie once.
    ties = set(islice(pairs, MOST_FINDINGS))
    for first, second in ((all_placed[a], all_placed[b]) for a, b in sorted(ties)):
        where = first.unit.where(first.path)
        message = (
            f"the overrides {first.override.id!r} ({where}) and {second.override.id!r} of "
            f"{limit!r} can hold for the same subject at the same time"
        )
        hint = "make one of them narrower, or end one before the other begins"
        second.unit.report("F1", message, second.path, hint=hint)


def _tie(first: Override, second: Override) -> bool:
    """Whether two overrides of one rank can hold for one subject at one time."""
    return (
        first.rank == second.rank
        and _meet(first.apps, second.apps)
        and _meet(first.tenants, second.tenants)
        and _meet(first.users, second.users)
        and not _is_over(first.ends, second.begins)
        and not _is_over(second.ends, first.begins)
    )


def _meet(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two lists can name one subject; a list that is not there names everyone."""
    return not one or not other or not one.isdisjoint(other)


def _is_over(end: datetime | None, begin: datetime | None) -> bool:
    return end is not None and begin is not None and end <= begin
