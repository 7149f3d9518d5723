"""How is a decision written down? As one line of JSON, which begins with the decision's id.

What it was decided from stands beside it, so that it can be decided again under other policies.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson

from sidecar.adapters.decisions.hidden import Hidden, without
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.shown import limits_shown, reasons_shown
from sidecar.domain.subscription import Change, Status, Subscription
from sidecar.domain.value import fields_of
from sidecar.domain.wallet import Wallet, no_wallet
from sidecar.ports import Checked

Explain = Callable[[Checked], object]

_AMOUNTS: Final = fields_of(Amounts)
_TEXTS: Final = (
    "plugin", "feature", "action", "workflow", "agent", "model", "session_id", "request_id",
)  # fmt: skip
_SUBJECT: Final = ("app_id", "user_id", "tenant_id")
_DATES: Final = ("next_billing_date", "trial_end", "period_start", "period_end")
_OPTIONS: Final = orjson.OPT_UTC_Z


class Lines:
    """Writes decisions.

    Args:
        allows: the part of users whose allows are written too; whoever adds up again has to know.
        explain: what each limit and rule saw.
    """

    def __init__(self, hidden: Hidden, allows: float, explain: Explain | None = None) -> None:
        self._hidden = hidden
        self._allows = allows
        self._explain = explain

    def line(self, checked: Checked, *, with_words: bool) -> bytes:
        """One decision, with the line's end.

        Args:
            with_words: whether it is told what each limit and rule saw.
        """
        decision = checked.decision
        request, secrets = self._request(checked.request)
        subscription, behind = self._subscription(checked.subscription)
        secrets += behind
        said: Any = {
            "reasons": reasons_shown(decision.reasons),
            "errors": [{"id": error.id, "message": error.message} for error in decision.errors],
        }
        if with_words and self._explain is not None:
            said["explanation"] = _words(self._explain, checked)
        if secrets:
            said = without(secrets, orjson.loads(orjson.dumps(said, option=_OPTIONS)))
        record = {
            "decision_id": decision.id,
            "at": decision.at,
            "effect": decision.effect,
            "status": decision.status,
            "mode": decision.mode,
            "plan": decision.plan,
            "subscription_status": decision.subscription_status,
            "would_deny": decision.would_deny,
            "limits": limits_shown(decision.readings),
            "request": request,
            "subscription": subscription,
            **_wallet(checked.wallet),
            "reservation": None if decision.reservation is None else decision.reservation.id,
            "degraded": decision.degraded,
            "policy": {"revision": decision.revision},
            "allows": self._allows,
            "hidden": len(secrets),
            **said,
        }
        return orjson.dumps(record, option=_OPTIONS | orjson.OPT_APPEND_NEWLINE)

    def _request(self, request: CheckRequest) -> tuple[dict[str, object], list[str]]:
        written: dict[str, object] = {}
        for name in _SUBJECT:
            written[name] = getattr(request.subject, name)
        for name in _TEXTS:
            text = getattr(request, name)
            if text:
                written[name] = text
        written["estimate"] = {name: getattr(request.estimate, name) for name in _AMOUNTS}
        secrets: list[str] = []
        if request.attributes:
            written["attributes"], secrets = self._hidden.veil(request.attributes)
        if request.reserve:
            written["reserve"] = True
            written["ttl_s"] = request.ttl_s
        return written, secrets

    def _subscription(
        self, state: Subscription | None
    ) -> tuple[dict[str, object] | None, list[str]]:
        if state is None:
            return None, []
        written: dict[str, object] = {
            "plan": state.plan,
            "status": state.status,
            "status_since": state.status_since,
            "billing_cycle": state.billing_cycle,
            "cancel_at_period_end": state.cancel_at_period_end,
        }
        for name in _DATES:
            at = getattr(state, name)
            if at is not None:
                written[name] = at
        secrets: list[str] = []
        if state.metadata:
            written["metadata"], secrets = self._hidden.veil(state.metadata)
        return written, secrets


def _wallet(wallet: Wallet | None) -> dict[str, object]:
    """A balance, where it could be had; what was spent of it stands with the limits."""
    if wallet is None:
        return {}
    as_of = None if wallet.balance is None else wallet.as_of
    return {"wallet": {"balance": wallet.balance, "as_of": as_of}}


def _words(explain: Explain, checked: Checked) -> object:
    try:
        return explain(checked)
    except Exception as error:  # noqa: BLE001  a decision without words is better than none
        return {"error": repr(error)}


def read_request(written: Mapping[str, Any]) -> CheckRequest:
    """The request of a line.

    Raises:
        KeyError, TypeError: it is none.
    """
    return CheckRequest(
        subject=Subject(*(written[name] for name in _SUBJECT)),
        **{name: written[name] for name in _TEXTS if name in written},
        estimate=Amounts(**written["estimate"]),
        attributes=written.get("attributes", {}),
        reserve=written.get("reserve", False),
        ttl_s=written.get("ttl_s", 60),
    )


def read_wallet(written: Mapping[str, Any], subject: Subject) -> Wallet:
    """The balance of a line.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    wallet, balance = no_wallet(subject), written["balance"]
    if balance is None:
        return wallet
    return replace(wallet, balance=balance, as_of=datetime.fromisoformat(written["as_of"]))


def read_subscription(written: Mapping[str, Any], subject: Subject) -> Subscription:
    """The subscription of a line.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    status, since = Status(written["status"]), datetime.fromisoformat(written["status_since"])
    dates: dict[str, Any] = {
        name: datetime.fromisoformat(written[name]) for name in _DATES if name in written
    }
    return Subscription(
        user_id=subject.user_id,
        app_id=subject.app_id,
        plan=written["plan"],
        status=status,
        billing_cycle=written["billing_cycle"],
        cancel_at_period_end=written["cancel_at_period_end"],
        metadata=written.get("metadata", {}),
        updated_at=since,
        history=(Change(since, status, written["plan"]),),
        **dates,
    )
