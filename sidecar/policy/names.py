"""Does each id name one thing in the directory, and each reference something that is there?"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sidecar.domain.wallet import WALLET
from sidecar.policy.diagnostics import did_you_mean
from sidecar.policy.lineage import Plans
from sidecar.policy.source import Path
from sidecar.policy.unit import Unit


@dataclass(frozen=True, slots=True)
class _Claim:
    """One use of an id; `plan` where it is a limit's."""

    unit: Unit
    kind: str
    path: Path
    plan: str | None


@dataclass(frozen=True, slots=True)
class Ids:
    """Who claims which id: limits, rules and overrides share one namespace."""

    plans: Plans
    _claims: dict[str, list[_Claim]] = field(default_factory=dict)
    _wallets: list[_Claim] = field(default_factory=list)

    def claim(
        self, unit: Unit, name: str, kind: str, path: Path, *, plan: str | None = None
    ) -> None:
        """Note that an id names a limit, a rule or an override."""
        self._claims.setdefault(name, []).append(_Claim(unit, kind, path, plan))

    def claim_wallet(self, unit: Unit, path: Path) -> None:
        """Note that a plan has a wallet: all of them have one id, and nothing else has it."""
        self._wallets.append(_Claim(unit, "wallet", path, None))

    def refuse_shared(self) -> None:
        """One id names one thing; only a limit that its plan inherits may be restated."""
        for claim in self._claims.get(WALLET, ()) if self._wallets else ():
            first = self._wallets[0]
            where = first.unit.where(first.path, key=True)
            message = f"the id {WALLET!r} is that of the wallet at {where}"
            claim.unit.report("B4", message, claim.path, hint="choose another id")
        for name, claims in self._claims.items():
            owners = {claim.plan for claim in claims if claim.plan is not None}
            taken: dict[str | None, _Claim] = {}
            for claim in claims:
                restates = not owners.isdisjoint(self.plans.ancestors(claim.plan))
                # A restated id is its plan's own: it meets only what the same plan says. So may
                # one be of a plan of which nobody knows what it extends.
                is_own = restates or not (claim.plan is None or self.plans.is_whole(claim.plan))
                scope = claim.plan if is_own else None
                first = taken.setdefault(scope, claim)
                if first is not claim:
                    where = first.unit.where(first.path)
                    message = f"the id {name!r} is taken by the {first.kind} at {where}"
                    claim.unit.report("B4", message, claim.path, hint="choose another id")


def refuse_unknown(
    unit: Unit, kind: str, name: str, known: Collection[str], lost: Collection[str], path: Path
) -> None:
    """Report a name that nothing has; one that stands in a file's broken part is not blamed."""
    if name not in known and name not in lost:
        unit.report("C1", f"no {kind} {name!r}", path, hint=did_you_mean(name, known))
