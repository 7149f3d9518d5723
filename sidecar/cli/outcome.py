"""How is the outcome of a simulation told, to a person and to a program?"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table

from sidecar.cli.printing import print_table
from sidecar.cli.recordings import Reading
from sidecar.policy.simulation.changes import Change, Spell
from sidecar.policy.simulation.replay import Outcome, Tally
from sidecar.policy.simulation.side import CountedBy

K = TypeVar("K")
_COUNTED = {
    CountedBy.USAGE: "reported use, and what checks hold until a report names it or it expires",
    CountedBy.HOLDS: "what checks asked to hold; commits are not recorded",
    CountedBy.ESTIMATES: "what each check said that it may use, held or not",
}
NOTHING_COUNTED: Final = (
    "nothing was counted, so no limit was put to the test: no check reserved, and no use is "
    "reported; add the usage events to --events, or take estimates for use (--count estimates)"
)


def as_json(outcome: Outcome, reading: Reading, users: int) -> dict[str, object]:
    """The whole outcome."""
    changes, tally = outcome.changes, outcome.tally
    return {
        "candidate": {"revision": outcome.candidate},
        "base": {
            "kind": "recorded" if outcome.base is None else "policies",
            "revision": outcome.base,
        },
        "counted_by": outcome.by,
        "nothing_counted": outcome.is_nothing_counted,
        "events": {
            "checks": tally.checks,
            "usage": tally.usage,
            "holding": tally.holding,
            "from": _instant(tally.begin),
            "to": _instant(tally.end),
            "late": tally.late,
            "unreadable": reading.wrong,
            "left_out": reading.left_out,
            "without_answer": tally.without_answer,
            "degraded": tally.degraded,
            "usage_ignored": tally.ignored,
            "usage_duplicates": tally.duplicates,
            "with_hidden_attributes": tally.hidden,
            "with_grants": tally.granted,
            "users_without_subscription": outcome.unknown_users,
        },
        "candidate_says": {effect: changes.effects[effect] for effect in changes.effects},
        "compared": changes.compared,
        "changed": changes.changed,
        "changes": [
            {"from": base, "to": said, **_spell(spell)}
            for (base, said), spell in _by_count(changes.by_change)
        ],
        "users": {
            "changed": changes.users,
            "exact": changes.are_all_users_told,
            "top": [
                {"app_id": app, "user_id": user, "changed": found.total(), "changes": _named(found)}
                for (app, user), found in changes.top_users(users)
            ],
        },
        "by": [
            {
                "id": name,
                "kind": outcome.ids.kind(name),
                **_spell(spell),
                "changes": _named(spell.changes),
            }
            for name, spell in _by_count(changes.by_id)
        ],
        "silent": {
            "limits": sorted(outcome.ids.limits & outcome.silent),
            "rules": sorted(outcome.ids.rules & outcome.silent),
        },
    }


def print_outcome(outcome: Outcome, reading: Reading, users: int, console: Console) -> None:
    """The same for a person."""
    changes, tally = outcome.changes, outcome.tally
    if outcome.is_nothing_counted:
        console.print(f"WARNING: {NOTHING_COUNTED}")
    base = "what was said then" if outcome.base is None else "the other policies"
    share = f" ({changes.changed / changes.compared:.1%})" if changes.compared else ""
    console.print(
        f"{changes.changed:,} of {changes.compared:,} decisions change{share} against {base}"
    )
    if tally.begin is not None and tally.end is not None:
        span = f"{_short(tally.begin)} to {_short(tally.end)}"
        console.print(f"{tally.checks:,} checks, {tally.usage:,} reports of use, {span}")
    console.print(f"counted: {'nothing' if outcome.is_nothing_counted else _COUNTED[outcome.by]}")
    for note in _notes(outcome, reading):
        console.print(f"note: {note}")
    if changes.by_change:
        table = _table("change", "decisions", "first", "last")
        for change, spell in _by_count(changes.by_change):
            table.add_row(_arrow(change), *_cells(spell))
        print_table(table, console)
        table = _table("by", "decisions", "first", "last", "changes")
        for name, spell in _by_count(changes.by_id):
            table.add_row(
                f"{outcome.ids.kind(name)} {name}", *_cells(spell), _listed(spell.changes)
            )
        print_table(table, console)
        told = "" if changes.are_all_users_told else " or more"
        table = _table("app", "decisions", "user", "changes")
        for (app, user), found in changes.top_users(users):
            table.add_row(app, f"{found.total():,}", user, _listed(found))
        console.print(f"for {changes.users:,}{told} users")
        print_table(table, console)
    for kind, ids in (("limits", outcome.ids.limits), ("rules", outcome.ids.rules)):
        silent = sorted(ids & outcome.silent)
        if silent:
            console.print(f"{kind} that never spoke: {', '.join(silent)}", markup=False)


def _notes(outcome: Outcome, reading: Reading) -> Iterable[str]:
    tally: Tally = outcome.tally
    notes = {
        "lines could not be read": reading.wrong,
        "decisions left out: of users whose allows were not recorded": reading.left_out,
        "checks without an answer to compare with": tally.without_answer,
        "decisions not compared: a fact was missing then": tally.degraded,
        "checks held nothing, and count nothing (--count estimates)": outcome.without_effect,
        f"reports of use do not count, because {outcome.by} do": tally.ignored,
        "reports of use came before, and count once": tally.duplicates,
        "events came too late to be put in order": tally.late,
        "checks have attributes that were not written down": tally.hidden,
        "checks had grants, which are not known here": tally.granted,
        "users without a known subscription have the default plan": outcome.unknown_users,
    }
    return (f"{count:,} {what}" for what, count in notes.items() if count)


def _by_count(spells: Mapping[K, Spell]) -> list[tuple[K, Spell]]:
    return sorted(spells.items(), key=lambda row: (-row[1].count, str(row[0])))


def _spell(spell: Spell) -> dict[str, object]:
    return {"count": spell.count, "first": _instant(spell.first), "last": _instant(spell.last)}


def _named(changes: Mapping[Change, int]) -> dict[str, int]:
    return {f"{base}->{said}": count for (base, said), count in sorted(changes.items())}


def _arrow(change: Change) -> str:
    return f"{change[0]} → {change[1]}"


def _listed(changes: Mapping[Change, int]) -> str:
    return ", ".join(f"{count:,} {_arrow(change)}" for change, count in sorted(changes.items()))


def _cells(spell: Spell) -> tuple[str, str, str]:
    return f"{spell.count:,}", _short(spell.first), _short(spell.last)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column == "decisions" else "left")
    return table


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _short(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
