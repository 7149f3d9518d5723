"""How does an answer begin on the screen, and what would help against it?"""

from rich.text import Text

from sidecar.domain.decision import Decision, Effect, Remedy, RemedyKind

_STYLES = {Effect.ALLOW: "bold green", Effect.WARN: "bold yellow", Effect.DENY: "bold red"}


def head(effect: Effect, status: int, plan: str | None, mode: str) -> Text:
    """`DENY  429  plan free, mode enforce`."""
    told = f"  {status}  plan {plan or '(none)'}, mode {mode}"
    return Text.assemble((effect.value.upper(), _STYLES[effect]), told)


def remedies_in_words(decision: Decision) -> list[str]:
    """`→ upgrade to pro`."""
    return [f"→ {_in_words(remedy)}" for remedy in decision.remedies]


def _in_words(remedy: Remedy) -> str:
    match remedy.kind:
        case RemedyKind.UPGRADE:
            return f"upgrade to {remedy.plan}" + (f": {remedy.url}" if remedy.url else "")
        case RemedyKind.TOP_UP:
            return f"top up {remedy.limit}" + (f": {remedy.url}" if remedy.url else "")
        case RemedyKind.WAIT:
            return f"wait until {remedy.until:%Y-%m-%d %H:%M:%SZ}"
