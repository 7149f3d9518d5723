"""Does every rule change an answer that the others leave as it is?"""

from collections.abc import Iterable
from itertools import islice

from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.remarks import elsewhere, warning
from sidecar.policy.lint.rule_pairs import AskedRule, alike, around, asked_rules
from sidecar.policy.lint.statements import Statement
from sidecar.policy.load import Examined

MOST_PAIRS = 40_000
"""Pairs of rules that are compared; after so many the rest is left alone."""
_SEVERITY = {None: 0, "skip": 0, "warn": 1, "deny": 2}


def check(examined: Examined, all_said: Iterable[Statement]) -> Iterable[Diagnostic]:
    """I3, I4, I6: rules that repeat others, contradict them, or warn where others refuse."""
    everything = [it for it in asked_rules(examined, all_said) if it.plans]
    told: set[int] = set()
    for rule, other in islice(alike(everything), MOST_PAIRS):
        finding = None if rule.order in told else _beside(rule, other)
        if finding is not None:
            told.add(rule.order)
            yield finding
    for rule, wide in islice(around(everything), MOST_PAIRS):
        if rule.order not in told and _forestalls(wide, rule):
            told.add(rule.order)
            yield _forestalled(wide, rule)


def _beside(rule: AskedRule, other: AskedRule) -> Diagnostic | None:
    """What is wrong with a rule beside another one of the same condition."""
    if not other.looks_at_all_of(rule):
        return None
    if other.refuses and rule.rule.section.effect == "warn":
        return _opposed(other, rule)
    same_effect = other.rule.section.effect == rule.rule.section.effect
    is_as_strict = rule.rule.mode.narrowed(other.rule.mode) is rule.rule.mode
    # Of two that say the same the second one is too many.
    is_second = other.order < rule.order or other.rule.mode is not rule.rule.mode
    is_second = is_second or not rule.looks_at_all_of(other)
    if same_effect and is_as_strict and is_second and _errs_no_more(other, rule):
        return _repeated(other, rule)
    return None


def _errs_no_more(one: AskedRule, other: AskedRule) -> bool:
    """Whether an error in the other rule means nothing that one in the first does not mean."""
    return (
        not other.claim.may_err
        or _SEVERITY[other.rule.section.on_error] <= _SEVERITY[one.rule.section.on_error]
    )


def _forestalls(wide: AskedRule, rule: AskedRule) -> bool:
    """Whether one rule refuses whatever another one speaks of, and was asked before."""
    if not wide.looks_at_all_of(rule):
        return False
    if rule.claim.may_err and rule.rule.section.on_error not in (None, "skip"):
        return False
    # Of two that refuse, the earlier one gives the message and the status.
    is_later = wide.order < rule.order or rule.rule.section.effect == "warn"
    return is_later and bool(rule.claim.when_true) and rule.claim.implies(wide.claim)


def _repeated(first: AskedRule, rule: AskedRule) -> Diagnostic:
    message = f"{rule.rule.id!r} repeats {first.rule.id!r}: the same condition, the same effect"
    return _told("I3", first, rule, message, "keep one of them")


def _opposed(refusing: AskedRule, rule: AskedRule) -> Diagnostic:
    message = f"{rule.rule.id!r} warns of what {refusing.rule.id!r} refuses on the same condition"
    return _told("I4", refusing, rule, message, "decide for one of them")


def _forestalled(wide: AskedRule, rule: AskedRule) -> Diagnostic:
    if rule.rule.section.effect == "warn":
        message = f"whatever {rule.rule.id!r} warns of, {wide.rule.id!r} refuses"
        hint = "a warning belongs before the refusal: let its condition be true earlier"
        return _told("I6", wide, rule, message, hint)
    message = f"{rule.rule.id!r} changes no answer: {wide.rule.id!r} refuses all of it already"
    hint = "take it out, or write it above, where its message comes first"
    return _told("I3", wide, rule, message, hint)


def _told(code: str, other: AskedRule, rule: AskedRule, message: str, hint: str) -> Diagnostic:
    written = other.rule
    said = f"{written.id!r} stands here"
    related = (elsewhere(written.unit, (*written.path, "id"), said),)
    path = (*rule.rule.path, "id")
    return warning(rule.rule.unit, code, message, path, hint=hint, related=related)
