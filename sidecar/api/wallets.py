"""`POST /api/internal/wallet/sync`: the balance of a user, as whoever keeps it tells it."""

from collections.abc import Callable

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody, misfit
from sidecar.api.pushes import WALLET
from sidecar.api.render import wallet_body
from sidecar.domain.notices import Notice, is_low, of_balance
from sidecar.domain.request import Subject
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.wallet import Wallet
from sidecar.errors import Unavailable
from sidecar.pdp import PDP, Overview
from sidecar.ports import Clock, Policies
from sidecar.ports import Wallets as WalletsPort

Tell = Callable[[Notice], None]


class Wallets:
    """Takes balances; what is spent since is shown with the entitlements.

    Args:
        tell: takes notices, None where nobody is told of anything.
    """

    def __init__(
        self, wallets: WalletsPort, pdp: PDP, policies: Policies, clock: Clock, tell: Tell | None
    ) -> None:
        self._wallets = wallets
        self._pdp = pdp
        self._policies = policies
        self._clock = clock
        self._tell = tell

    async def sync(self, call: Call) -> Response:
        """Put a balance in the place of an older one."""
        try:
            pushed = call.read(WALLET).wallet(self._clock.now())
        except ValueError as error:
            raise misfit(error) from None
        self._refuse_other_currency(pushed)
        outcome, wallet = await self._wallets.sync(pushed, since=self._clock.monotonic())
        try:
            overview = await self._pdp.overview(Subject(wallet.app_id, wallet.user_id))
        except Unavailable:
            # It is stored all the same.
            overview = None
        if overview is not None and outcome is SyncOutcome.SYNCED:
            self._notice(wallet, overview)
        return json_response(
            {
                "status": outcome,
                "app_id": wallet.app_id,
                "user_id": wallet.user_id,
                **wallet_body(wallet, overview.balance if overview else None),
                "warnings": _warnings(overview),
            }
        )

    def _refuse_other_currency(self, pushed: Wallet) -> None:
        prices = self._policies.snapshot.prices
        if prices is None:
            fault = "nothing costs anything here yet: name a price file as SIDECAR_PRICES"
        elif pushed.currency != prices.currency:
            fault = f"prices are in {prices.currency}, so that balances must be too"
        else:
            return
        raise InvalidBody([FieldFault("currency", fault)])

    def _notice(self, wallet: Wallet, overview: Overview) -> None:
        """Let it be told if the balance is low; so does the next check, if it is not told now."""
        reading = overview.balance
        if self._tell is not None and reading is not None and is_low(reading):
            plan, now = overview.entitlement.plan, self._clock.now()
            self._tell(of_balance(wallet, reading, now, plan))


def _warnings(overview: Overview | None) -> list[str]:
    """Why nothing is held against this balance, as things are."""
    if overview is None or overview.balance is not None:
        return []
    plan = overview.entitlement.plan
    return [f"the plan {plan!r} has no wallet" if plan else "the user has no plan"]
