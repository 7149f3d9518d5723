"""Does a limit apply, under which maximum, and what does it do?"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sidecar.cel import CelError
from sidecar.domain.decision import Effect
from sidecar.domain.explanation import Does, ExplainedLimit, ExplainedOverride, Numbers
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.modes import Mode
from sidecar.domain.request import Subject
from sidecar.policy.compiled import CompiledLimit, Override, Overrides
from sidecar.policy.explaining.watching import Watched, place_of

MOST_OVERRIDES = 20
"""Overrides of one limit that are shown; there may be thousands, for others."""
_FEW = 3
_LOW = "less than `low` is left of the balance"


class Read(NamedTuple):
    """A limit with what is known of it; no charge where it does not apply, no reading unread."""

    compiled: CompiledLimit
    charge: Charge | None
    reading: Reading | None


def explained_limit(
    read: Read, context: Watched, subject: Subject, now: datetime, *, trace: bool
) -> ExplainedLimit:
    """A limit of the plan in force.

    Args:
        context: in which its `when` was evaluated.
    """
    compiled, charge, reading = read
    limit = charge.limit if charge else compiled.limit
    does, why = _outcome(read, context)
    written = compiled.limit.maximum
    overrides = sorted(
        _overrides(compiled.overrides, subject, now),
        key=lambda it: (not it.holds, not it.names_subject),
    )
    return ExplainedLimit(
        id=limit.id,
        applies=charge is not None,
        meter=limit.meter,
        window=str(limit.window),
        per=limit.per,
        mode=limit.mode,
        maximum=limit.maximum,
        written=written if written != limit.maximum else None,
        rollover=limit.rollover,
        numbers=_numbers(reading) if reading else None,
        does=does,
        why=why,
        expressions=context.expressions("when", compiled.when, trace=trace),
        overrides=tuple(it.told for it in overrides[:MOST_OVERRIDES]),
        more_overrides=max(0, len(overrides) - MOST_OVERRIDES),
        place=place_of(compiled.origin),
    )


def _numbers(reading: Reading) -> Numbers:
    return Numbers(
        used=reading.used,
        reserved=reading.reserved,
        granted=reading.granted,
        requested=reading.requested,
        remaining=reading.remaining,
        resets_at=reading.resets_at,
    )


def _outcome(read: Read, context: Watched) -> tuple[Does, str]:
    when, reading = read.compiled.when, read.reading
    if read.charge is None:
        return Does.NOTHING, "its when is false"
    begins = ""
    if when is not None:
        holds = context.evaluate(when)
        if isinstance(holds, CelError):
            begins = f"its when cannot be evaluated ({holds.message}), so it applies; "
    if reading is None:
        mode = read.charge.limit.failure_mode
        return Does.NOTHING, f"{begins}its counter could not be read; failure_mode {mode}"
    does, why = _against(reading)
    return does, begins + why


def _against(reading: Reading) -> tuple[Does, str]:
    """What follows from the numbers."""
    limit = reading.limit
    if limit.maximum is None and reading.is_near:
        words = f"{_taken(reading)}; there is no bound, and it warns from {limit.warn_from:,} on"
        return Does.of(Effect.WARN, limit.mode), words
    if limit.maximum is None:
        return Does.NOTHING, f"{_taken(reading)}; there is no bound, it only counts"
    bound = f"{limit.maximum:,}" + (f" + {reading.granted:,} granted" if reading.granted else "")
    silent = "; mode off, it only counts" if limit.mode is Mode.OFF else ""
    if limit.message and limit.base is not None:
        return Does.of(Effect.DENY, limit.mode), limit.message + silent
    if reading.is_exceeded:
        # Where nothing is left, not even a request for nothing fits.
        sign = ">" if reading.requested else "leaves nothing of"
        return Does.of(Effect.DENY, limit.mode), f"{_taken(reading)} {sign} {bound}{silent}"
    if reading.is_near:
        reached = f"warn_at is reached at {limit.warn_from:,}"
        words = f"{_taken(reading)} ≤ {bound}, and {reached if limit.base is None else _LOW}"
        return Does.of(Effect.WARN, limit.mode), words + silent
    return Does.NOTHING, f"{_taken(reading)} ≤ {bound}" + silent


def _taken(reading: Reading) -> str:
    """`9,200 used + 500 asked`."""
    reserved = f" + {reading.reserved:,} reserved" if reading.reserved else ""
    return f"{reading.used:,} used{reserved} + {reading.requested:,} asked"


class _Override(NamedTuple):
    told: ExplainedOverride
    holds: bool
    names_subject: bool


def _overrides(overrides: Overrides, subject: Subject, now: datetime) -> Iterator[_Override]:
    winner = overrides.find(subject, now)
    for override in overrides.all:
        other = _others(override, subject)
        why = other or _time(override, now)
        holds = override is winner
        if not why and not holds:
            assert winner is not None  # this one would hold
            why = f"{winner.id} is for fewer"
        told = ExplainedOverride(
            override.id, holds, override.maximum, why or _until(override), place_of(override.origin)
        )
        yield _Override(told, holds, not other)


def _others(override: Override, subject: Subject) -> str:
    """Whom an override is for instead, empty where it is for the subject."""
    for kind, names, own in (
        ("user", override.users, subject.user_id),
        ("tenant", override.tenants, subject.tenant_id),
        ("app", override.apps, subject.app_id),
    ):
        if names and own not in names:
            few = ", ".join(sorted(names)) if len(names) <= _FEW else f"{len(names):,} {kind}s"
            return f"for {f'{kind} ' if len(names) <= _FEW else ''}{few}, not {own or 'none'}"
    return ""


def _time(override: Override, now: datetime) -> str:
    if override.begins is not None and now < override.begins:
        return f"begins {override.begins:%Y-%m-%d %H:%M:%SZ}"
    if override.ends is not None and override.ends <= now:
        return f"ended {override.ends:%Y-%m-%d %H:%M:%SZ}"
    return ""


def _until(override: Override) -> str:
    until = f" until {override.ends:%Y-%m-%d %H:%M:%SZ}" if override.ends else ""
    return f"holds{until}"
