"""What may an expression in a policy see, and what did it evaluate to?"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from sidecar import cel
from sidecar.cel import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelError,
    Dyn,
    Environment,
    List,
    Map,
    Member,
    Object,
    Problem,
    Program,
    Step,
    String,
    Type,
)
from sidecar.domain.limits import Reading
from sidecar.domain.request import MAX_INTEGER, CheckRequest
from sidecar.domain.subscription import Status, Subscription
from sidecar.domain.wallet import Wallet
from sidecar.policy.blocks import in_block
from sidecar.policy.codes import code_of
from sidecar.policy.diagnostics import Diagnostic, did_you_mean, near
from sidecar.policy.source import Path, Place, SourceFile

_FREE = Map(STRING, Dyn(guarded=True), max_size=64, guarded=True)
"""What others fill as they like: a member of it is asked for with `has()` before it is read."""
_REQUEST_STRINGS = (
    "app_id", "user_id", "tenant_id", "plugin", "feature", "action",
    "workflow", "agent", "model", "session_id", "request_id",
)  # fmt: skip
_REQUEST = Object(
    "request",
    {
        **{name: Member(STRING) for name in _REQUEST_STRINGS},
        "estimated_tokens": Member(INT),
        "estimate": Member(
            Object(
                "estimate",
                {name: Member(INT) for name in ("input_tokens", "output_tokens", "total_tokens")},
            )
        ),
        "attributes": Member(_FREE),
    },
)
_SUBSCRIPTION = Object(
    "subscription",
    {
        "status": Member(String(known=frozenset(status.value for status in Status))),
        "plan": Member(STRING),
        "billing_cycle": Member(STRING),
        "cancel_at_period_end": Member(BOOL),
        "trial_end": Member(TIMESTAMP, optional=True),
        "current_period_start": Member(TIMESTAMP, optional=True),
        "current_period_end": Member(TIMESTAMP, optional=True),
        "next_billing_date": Member(TIMESTAMP, optional=True),
        "metadata": Member(_FREE),
    },
)
_LIMIT = Object(
    "limit",
    {
        **{name: Member(INT) for name in ("used", "reserved", "remaining", "max")},
        "ratio": Member(DOUBLE),
    },
)


_WALLET = Object("wallet", {name: Member(INT, optional=True) for name in ("balance", "available")})
_COUNTED = frozenset({"limits", "wallet"})
"""What is known when counters were read, and not before."""


_DASHED = re.compile(r"(?<![\w.])(limits|plan\.features)\.([A-Za-z_]\w*(?:-\w+)+)")


def plan_type(plan_ids: Sequence[str], features: Collection[str] = ()) -> Object:
    """The type of `plan` in a directory with these plans, which name these features."""
    return Object(
        "plan",
        {
            "id": Member(String(known=frozenset(plan_ids))),
            "name": Member(STRING),
            "features": Member(Map(STRING, BOOL, max_size=max(256, len(features)))),
        },
    )


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled expression, with the variables that must be had before it.

    Attributes:
        path: where it stands in its file, `("rules", 0, "when")`.
    """

    program: Program
    scope: "Scope"
    source: SourceFile
    path: Path
    variables: tuple[str, ...] = ()

    @property
    def reads_limits(self) -> bool:
        """Whether it, or a variable that it needs, looks at a counter."""
        direct = any(reference[0] in _COUNTED for reference in self.program.references)
        return direct or not self.scope.reads_limits.isdisjoint(self.variables)

    def place(self, start: int, end: int) -> Place:
        """Where characters [start, end) of the expression stand in its file."""
        return self.source.expression_place(self.path, start, end)


@dataclass(slots=True)
class Scope:
    """The constants and variables of one file; filled while the file is compiled.

    Attributes:
        limits: ids that may stand in `limits["…"]`.
        features: that some plan names; a plan that does not has them as its `*` says.
        lost: ids that something broken may have; they are not called unknown.
        wallets: whether some plan has a wallet.
        below: variables that the file declares further down.
        broken: variables that did not compile; whatever reads them is not blamed for it.
        reads_limits: variables that cannot be had before counters are read.
    """

    constants: Mapping[str, object]
    plan: Object
    limits: Collection[str] = ()
    features: Collection[str] = ()
    lost: Collection[str] = ()
    wallets: bool = True
    below: set[str] = field(default_factory=set)
    variables: dict[str, Condition] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    reads_limits: set[str] = field(default_factory=set)

    def compile(
        self,
        source: SourceFile,
        path: Path,
        text: str,
        result: Type,
        *,
        present: Collection[tuple[str, ...]],
        before_counting: bool,
    ) -> Condition | list[Diagnostic]:
        """An expression of this file, or what is wrong with it.

        Args:
            present: what is there whenever it is evaluated, as `("limits", "daily")`.
            before_counting: whether it chooses what is counted, so that no counter was read yet.
        """
        awkward = source.awkward_expression(path)
        if awkward is not None:
            return [replace(awkward, fix=in_block(source, path))]

        def finding(code: str, message: str, start: int, end: int, hint: str) -> Diagnostic:
            place = source.expression_place(path, start, end)
            return source.finding(code, message, place, hint=hint, path=path)

        program = cel.compile(text, self._environment(present), result=result)
        if not isinstance(program, Program):
            split = list(self._split_names(text))
            return [finding(*words) for words in split] + [
                finding(*self._words(text, problem))
                for problem in program
                if not any(
                    start <= problem.end and problem.start < end for *_, start, end, _ in split
                )
            ]
        read = {ref[:2] for ref in program.references if len(ref) > 1}
        findings = [
            finding("C1", f"no limit {name!r}", *_span(text, name), did_you_mean(name, self.limits))
            for root, name in sorted(read)
            if root == "limits" and name not in self.limits and name not in self.lost
        ]
        findings += [
            finding(
                "C1", f"no plan names the feature {name!r}", *_span(text, name),
                near(name, self.features) or f"name it in a plan: features: {{{name}: true}}",
            )
            for name in sorted(ref[2] for ref in program.references if _is_feature(ref))
            if name not in self.features and name not in self.lost
        ]  # fmt: skip
        if not self.wallets and "wallet" in {ref[0] for ref in program.references}:
            message, hint = "no plan has a wallet", "write wallet: {require: true} in a plan"
            findings.append(finding("C1", message, *_span(text, "wallet"), hint))
        direct = {name for root, name in read if root == "vars"}
        if before_counting:
            hint = "a rule may read limits; a limit's when may not"
            roots = {ref[0] for ref in program.references}
            if "limits" in roots:
                message = "limits are not read yet when a limit chooses its requests"
                findings.append(finding("C3", message, *_span(text, "limits"), hint))
            if "wallet" in roots:
                message = "the wallet is not read yet when a limit chooses its requests"
                words = "a rule may read the wallet; a limit's when may not"
                findings.append(finding("C3", message, *_span(text, "wallet"), words))
            findings += [
                finding(
                    "C3", f"the variable {name!r} reads limits, which are not read yet",
                    *_span(text, name), hint,
                )
                for name in sorted(direct & self.reads_limits)
            ]  # fmt: skip
        if findings or direct & self.broken:
            return findings
        needed = direct | {deep for name in direct for deep in self.variables[name].variables}
        variables = tuple(name for name in self.variables if name in needed)
        return Condition(program, self, source, path, variables)

    def _split_names(self, text: str) -> Iterator[tuple[str, str, int, int, str]]:
        """Names with a - in them behind a dot, where it is read as a minus."""
        for found in _DASHED.finditer(text):
            holder, name = found.groups()
            if name in (self.limits if holder == "limits" else self.features):
                message = f"{name!r} has a - in it, which is a minus behind a dot"
                yield "G1", message, *found.span(), f'write {holder}["{name}"]'

    def _words(self, text: str, problem: Problem) -> tuple[str, str, int, int, str]:
        start, end = problem.start, problem.end
        if text[start:end] in self.below and text[:start].endswith("vars."):
            message = f"the variable {text[start:end]!r} is declared further down"
            return "C3", message, start, end, "declare it above what uses it"
        name = text[start:end].strip("\"'")
        of_limits = re.search(r"\blimits\s*[.[]\s*$", text[:start]) is not None
        if problem.code == "unguarded-optional" and of_limits and name not in self.limits:
            return "C1", f"no limit {name!r}", start, end, did_you_mean(name, self.limits)
        return code_of(problem.code), problem.message, start, end, problem.hint

    def declare(self, name: str, condition: Condition | None) -> None:
        """Let the expressions below use a variable, None for one that did not compile."""
        if condition is None:
            self.broken.add(name)
            return
        self.variables[name] = condition
        roots = {ref[0] for ref in condition.program.references}
        if roots & _COUNTED or any(used in self.reads_limits for used in condition.variables):
            self.reads_limits.add(name)

    def _environment(self, present: Collection[tuple[str, ...]]) -> Environment:
        variables: dict[str, Type] = {
            "request": _REQUEST,
            "subscription": _SUBSCRIPTION,
            "plan": self.plan,
            "limits": Map(STRING, _LIMIT, max_size=64, guarded=True),
            "wallet": _WALLET,
            "now": TIMESTAMP,
            "constants": Object(
                "constants",
                {name: Member(_type_of(value)) for name, value in self.constants.items()},
            ),
            "vars": Object(
                "vars",
                {
                    **{
                        name: Member(condition.program.result)
                        for name, condition in self.variables.items()
                    },
                    **{name: Member(DYN) for name in self.broken},
                },
            ),
        }
        return Environment(variables, present=frozenset(present))


def _is_feature(reference: tuple[str, ...]) -> bool:
    return len(reference) > 2 and reference[:2] == ("plan", "features")


def _span(text: str, name: str) -> tuple[int, int]:
    """Where a name stands in an expression."""
    match = re.search(rf"\b{re.escape(name)}\b", text)
    return match.span() if match else (0, len(text))


class Context:
    """The facts of one decision, as expressions see them."""

    def __init__(self, base: Mapping[str, object]) -> None:
        self._base = base
        self._by_scope: dict[int, dict[str, object]] = {}

    @classmethod
    def of(
        cls,
        request: CheckRequest,
        subscription: Subscription | None,
        plan: Mapping[str, object],
        now: datetime,
        readings: Sequence[Reading] = (),
        wallet: Wallet | None = None,
    ) -> Self:
        """The facts as they are, with what the counters hold where that is known already."""
        base = {
            "request": _request_bindings(request),
            "subscription": _subscription_bindings(subscription or _NOBODY),
            "plan": plan,
            "now": now,
            "limits": _NOTHING,
            "wallet": _NOTHING,
        }
        if readings or wallet is not None:
            base |= _counted_bindings(readings, wallet)
        return cls(base)

    def counted(self, readings: Sequence[Reading], wallet: Wallet | None) -> "Context":
        """The same facts, with what the counters hold."""
        return Context({**self._base, **_counted_bindings(readings, wallet)})

    def evaluate(self, condition: Condition) -> object:
        """The value of a condition, or the `CelError` of it or of a variable that it needs."""
        bindings = self.bindings(condition.scope, condition.variables)
        if isinstance(bindings, CelError):
            return bindings
        return condition.program.evaluate(bindings)

    def trace(self, condition: Condition) -> tuple[Step, ...]:
        """The value of every part that is evaluated; nothing where a variable errs before it."""
        bindings = self.bindings(condition.scope, condition.variables)
        return () if isinstance(bindings, CelError) else condition.program.trace(bindings)

    def bindings(self, scope: Scope, variables: Sequence[str]) -> dict[str, object] | CelError:
        """What conditions of a file see, or the error of a variable that they need."""
        bindings = self._by_scope.get(id(scope))
        if bindings is None:
            bindings = {**self._base, "constants": scope.constants, "vars": {}}
            self._by_scope[id(scope)] = bindings
        if variables:
            values: dict[str, object] = bindings["vars"]  # type: ignore[assignment] # built above
            for name in variables:
                if name not in values:
                    value = scope.variables[name].program.evaluate(bindings)
                    if isinstance(value, CelError):
                        return value
                    values[name] = value
        return bindings


def _request_bindings(request: CheckRequest) -> dict[str, object]:
    subject, estimate = request.subject, request.estimate
    return {
        "app_id": subject.app_id,
        "user_id": subject.user_id,
        "tenant_id": subject.tenant_id,
        "plugin": request.plugin,
        "feature": request.feature,
        "action": request.action,
        "workflow": request.workflow,
        "agent": request.agent,
        "model": request.model,
        "session_id": request.session_id,
        "request_id": request.request_id,
        "estimated_tokens": estimate.tokens,
        "estimate": {
            "input_tokens": estimate.input_tokens,
            "output_tokens": estimate.output_tokens,
            "total_tokens": estimate.tokens,
        },
        "attributes": request.attributes,
    }


_NOBODY = Subscription(user_id="")
_NOTHING: Mapping[str, object] = {}


def _subscription_bindings(state: Subscription) -> dict[str, object]:
    bindings: dict[str, object] = {
        "status": state.status.value,
        "plan": state.plan,
        "billing_cycle": state.billing_cycle,
        "cancel_at_period_end": state.cancel_at_period_end,
        "metadata": state.metadata,
    }
    if state.trial_end is not None:
        bindings["trial_end"] = state.trial_end
    if state.period_start is not None:
        bindings["current_period_start"] = state.period_start
    if state.period_end is not None:
        bindings["current_period_end"] = state.period_end
    if state.next_billing_date is not None:
        bindings["next_billing_date"] = state.next_billing_date
    return bindings


def _counted_bindings(readings: Sequence[Reading], wallet: Wallet | None) -> dict[str, object]:
    limits, available = {}, None
    for reading in readings:
        if reading.limit.base is None:
            limits[reading.limit.id] = _limit_bindings(reading)
        else:
            available = reading.remaining
    # Nothing where no balance is known, or the plan holds nothing against it.
    told = {} if wallet is None or wallet.balance is None or available is None else {
        "balance": wallet.balance, "available": available,
    }  # fmt: skip
    return {"limits": limits, "wallet": told}


def _limit_bindings(reading: Reading) -> dict[str, object]:
    maximum, remaining = reading.limit.maximum, reading.remaining
    if maximum is None or remaining is None:
        ratio, maximum, remaining = 0.0, MAX_INTEGER, MAX_INTEGER
    else:
        ratio = 1.0 if maximum == 0 else (reading.used + reading.reserved) / maximum
    return {
        "used": reading.used,
        "reserved": reading.reserved,
        "remaining": remaining,
        "max": maximum,
        "ratio": ratio,
    }


def _type_of(value: object) -> Type:
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return DOUBLE
        case str():
            return String(max_length=max(1, len(value)))
        case list() if value and all(isinstance(item, str) for item in value):
            longest = max(len(item) for item in value)
            return List(String(max_length=max(1, longest)), max_size=len(value))
        case list():
            types = {_type_of(item) for item in value}
            longest = max((len(item) for item in value if isinstance(item, str)), default=1)
            mixed = Dyn(widest=longest, total=longest)
            return List(types.pop() if len(types) == 1 else mixed, max_size=max(1, len(value)))
        case _:
            return DYN
