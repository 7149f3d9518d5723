"""What may stand where a person has pressed Tab? Whatever goes wrong, nothing is said of it."""

import click

from sidecar.errors import SidecarError


def plans(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Plans of the policies that were typed, or that are set."""
    # Only whoever presses Tab pays for the policies.
    from sidecar.policy.load import load, shipped
    from sidecar.settings import read_settings

    try:
        settings = read_settings(sidecar_policies=context.params.get("policies"))
        found = load(settings.sidecar_policies or shipped("self-hosted"), ceiling=settings.ceiling)
    except SidecarError:
        return []
    return [plan.id for plan in found.plans if plan.id.startswith(incomplete)]


def codes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Codes of findings."""
    from sidecar.policy.codes import CODES

    return sorted(code for code in CODES if code.startswith(incomplete.upper()))


def groups(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """What use can be told apart by, after what is typed already."""
    typed, comma, last = incomplete.rpartition(",")
    names = ("model", "workflow", "agent", "plugin")
    return [f"{typed}{comma}{name}" for name in names if name.startswith(last)]
