"""What does the sidecar say, as values?

Members that are not known here are left aside, and those that are missing have their ordinary
values: the sidecar may be of another version.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

LOCAL: Final = "sidecar_unavailable"
"""The code of the one reason that is given here and not by the sidecar."""

_NOT_OF_PLAN: Final = frozenset(
    {"quota_exceeded", "concurrency_exceeded", "insufficient_balance", "store_unavailable", LOCAL}
)


class Effect(StrEnum):
    """warn is permission with advice."""

    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks against the request, or for care."""

    code: str
    id: str
    effect: str
    mode: str
    message: str

    @property
    def refuses(self) -> bool:
        """Whether this reason alone makes the answer a deny."""
        return self.effect == Effect.DENY and self.mode == "enforce"

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From its JSON."""
        return cls(
            *(str(told.get(name) or "") for name in ("code", "id", "effect", "mode", "message"))
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit and what is used of it, in its own units; None is no bound."""

    id: str
    meter: str
    window: str
    limit: int | None
    used: int
    reserved: int
    remaining: int | None
    resets_at: datetime | None

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From its JSON."""
        return cls(
            id=str(told.get("id", "")),
            meter=str(told.get("meter", "")),
            window=str(told.get("window", "")),
            limit=told.get("limit"),
            used=int(told.get("used") or 0),
            reserved=int(told.get("reserved") or 0),
            remaining=told.get("remaining"),
            resets_at=_instant(told.get("resets_at")),
        )


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would help: `upgrade` to a plan, `top_up` a limit, or `wait` until then."""

    type: str
    plan: str | None = None
    limit: str | None = None
    url: str | None = None
    until: datetime | None = None

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From its JSON."""
        return cls(
            str(told.get("type", "")), told.get("plan"), told.get("limit"), told.get("url"),
            _instant(told.get("until")),
        )  # fmt: skip

    def __str__(self) -> str:
        where = f": {self.url}" if self.url else ""
        match self.type:
            case "upgrade":
                return f"upgrade to {self.plan}{where}"
            case "top_up":
                return f"top up {self.limit}{where}"
            case "wait" if self.until is not None:
                return f"wait until {self.until:%Y-%m-%d %H:%M} UTC"
            case _:
                return f"{self.type}{where}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one check.

    Attributes:
        reservation_id: of the units that are held for this request, None if none are.
        degraded: the sidecar lacked a fact, and a failure mode spoke in its place.
        is_local: the sidecar could not be asked; this was decided here, by `on_failure`.
        body: the whole answer as it came, for whoever passes it on.
    """

    id: str
    effect: Effect
    status: int
    mode: str
    plan: str | None
    reasons: tuple[Reason, ...] = ()
    limits: tuple[Limit, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    would_deny: tuple[str, ...] = ()
    reservation_id: str | None = None
    expires_at: datetime | None = None
    revision: str = ""
    retry_after_s: int | None = None
    degraded: bool = False
    is_local: bool = False
    body: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def allowed(self) -> bool:
        """Whether the request may run."""
        return self.effect is not Effect.DENY

    @property
    def includes_plugin(self) -> bool:
        """Whether nothing but a used-up quota or a fault stands in the way."""
        return all(each.code in _NOT_OF_PLAN for each in self.reasons if each.refuses)

    @property
    def advice(self) -> str:
        """Why not, or what to mind, and what would help: for the user."""
        said = (
            " ".join(each.message for each in self.reasons[:1]) or f"{self.effect} ({self.status})"
        )
        helps = "; ".join(str(each) for each in self.remedies)
        return f"{said} ({helps})" if helps else said

    @classmethod
    def read(cls, told: Mapping[str, Any], retry_after_s: int | None = None) -> Self:
        """From its JSON.

        Raises:
            KeyError, TypeError, ValueError: it is no decision.
        """
        held = told.get("reservation") or {}
        return cls(
            id=str(told["decision_id"]),
            effect=Effect(told["effect"]),
            status=int(told["status"]),
            mode=str(told.get("mode", "")),
            plan=told.get("plan"),
            reasons=_each(Reason.read, told.get("reasons")),
            limits=_each(Limit.read, told.get("limits")),
            remedies=_each(Remedy.read, told.get("remedies")),
            would_deny=tuple(told.get("would_deny") or ()),
            reservation_id=held.get("id"),
            expires_at=_instant(held.get("expires_at")),
            revision=str((told.get("policy") or {}).get("revision", "")),
            retry_after_s=retry_after_s,
            degraded=bool(told.get("degraded")),
            body=told,
        )


def decided_here(*, allows: bool, cause: str) -> Decision:
    """What is answered when nobody can be asked."""
    message = f"The entitlement sidecar did not answer: {cause}"
    status, effect = (200, Effect.ALLOW) if allows else (503, Effect.DENY)
    reason = Reason(LOCAL, "sidecar", effect, "enforce", message)
    id_ = f"local_{secrets.token_hex(8)}"
    return Decision(
        id=id_,
        effect=effect,
        status=status,
        mode="enforce",
        plan=None,
        reasons=() if allows else (reason,),
        retry_after_s=None if allows else 1,
        degraded=True,
        is_local=True,
        body={
            "type": f"urn:mozaiks:sidecar:problem:{LOCAL}", "title": "Entitlements are unknown",
            "status": status, "detail": message, "decision_id": id_, "effect": effect,
            "allowed": allows, "degraded": True,
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a settings page shows of a user."""

    plan: str | None
    plugins_allow: tuple[str, ...]
    plugins_deny: tuple[str, ...]
    features: Mapping[str, bool]
    limits: tuple[Limit, ...]
    subscription: Mapping[str, Any] | None
    body: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """From its JSON."""
        plugins = told.get("plugins") or {}
        return cls(
            plan=told.get("plan"),
            plugins_allow=tuple(plugins.get("allow") or ()),
            plugins_deny=tuple(plugins.get("deny") or ()),
            features=dict(told.get("features") or {}),
            limits=_each(Limit.read, told.get("limits")),
            subscription=told.get("subscription"),
            body=told,
        )


def _each(read: Callable[[Mapping[str, Any]], T], told: object) -> tuple[T, ...]:
    return tuple(read(each) for each in told) if isinstance(told, list) else ()


def _instant(told: object) -> datetime | None:
    return datetime.fromisoformat(told) if isinstance(told, str) else None
