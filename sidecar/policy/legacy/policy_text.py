"""How is an old configuration written as a policy file?"""

from collections.abc import Iterator
from textwrap import wrap

from sidecar.domain.subscription import Status
from sidecar.policy.legacy.config import OldConfig
from sidecar.policy.legacy.notes import NoteKind, told
from sidecar.policy.legacy.plans import OldPlan

_WIDTH = 98
_YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_HEADINGS = {
    NoteKind.DROPPED: "Dropped",
    NoteKind.ASSUMED: "Assumed",
    NoteKind.RENAMED: "Renamed",
}


def policy_text(config: OldConfig, name: str) -> str:
    """The policy file, with what the reader has to know at its head.

    Args:
        name: of the old file.
    """
    return "\n".join(_lines(config, name)) + "\n"


def _lines(config: OldConfig, name: str) -> Iterator[str]:
    yield f"# Made by `sidecar import` from {_comment(name)}. From now on this is the file to edit."
    for kind, heading in _HEADINGS.items():
        lines = told(config.notes, kind)
        if lines:
            yield "#"
            yield f"# {heading}:"
            for line in lines:
                yield from _wrapped(_comment(line))
    yield "apiVersion: sidecar/v1"
    yield "kind: Policy"
    yield "metadata: {name: imported}"
    yield f"mode: {config.mode.value}"
    if config.default is not None:
        yield ""
        yield "defaults:"
        yield f"  plan: {_word(config.default)}"
    yield from _subscription(config)
    yield ""
    yield "plans:"
    counts_tokens = not config.is_list or any(plan.says_tokens for plan in config.plans)
    for index, plan in enumerate(config.plans):
        if index:
            yield ""
        yield from _plan(plan, counts_tokens=counts_tokens)


def _subscription(config: OldConfig) -> Iterator[str]:
    trial = config.trial
    active = [Status.ACTIVE, Status.TRIALING]
    if config.is_list:
        active = [status for status in Status if status is not Status.NONE]
    if trial.days == 0:
        active.remove(Status.TRIALING)
    fields = []
    if trial.plan is not None:
        fields.append(f"plan: {_word(trial.plan)}")
    if trial.days:
        fields.append(f"days: {trial.days}")
    if config.is_list or trial.days == 0 or fields:
        yield ""
        yield "subscription:"
        yield f"  active: [{', '.join(status.value for status in active)}]"
    if fields and trial.days != 0:
        ignore = "  # lint:ignore M4 as in the older file"
        is_vain = trial.plan is not None and trial.plan == config.default
        yield f"  trial: {{{', '.join(fields)}}}{ignore if is_vain else ''}"


def _plan(plan: OldPlan, *, counts_tokens: bool) -> Iterator[str]:
    yield f"  {_word(plan.id)}:"
    yield f"    name: {_quoted(plan.name)}"
    if plan.description:
        yield f"    description: {_quoted(plan.description)}"
    yield f"    plugins: [{', '.join(map(_quoted, plan.plugins))}]"
    if plan.features:
        yield "    features:"
        for name, included in plan.features.items():
            yield f"      {_quoted(name)}: {str(included).lower()}"
    if counts_tokens:
        unlimited = "null  # unlimited"
        yield f"    tokens_per_month: {unlimited if plan.tokens is None else plan.tokens}"


def _word(identifier: str) -> str:
    """An id as a key or a value, in quotes where YAML would take it for something else."""
    return f'"{identifier}"' if identifier.lower() in _YAML_WORDS else identifier


def _quoted(text: str) -> str:
    """Any text in double quotes."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _wrapped(text: str) -> list[str]:
    return wrap(
        text, _WIDTH, initial_indent="#   ", subsequent_indent="#     ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _comment(text: str) -> str:
    """Text that stays in its line."""
    return "".join(each if each.isprintable() else " " for each in text)
