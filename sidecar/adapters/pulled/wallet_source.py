"""What does whoever keeps the balances answer when it is asked of one?"""

from collections.abc import Callable, Mapping
from typing import Final

from sidecar.adapters.pulled.source import Address
from sidecar.adapters.web import Web
from sidecar.domain.request import MAX_INTEGER, Subject
from sidecar.domain.wallet import Wallet
from sidecar.errors import Unavailable

_NOT_FOUND: Final = 404
_LONGEST_NAME: Final = 256


class WalletSide:
    """Asks for one user's balance.

    Args:
        address, key: as of an `Address`.
        currency: of the prices that are in force, None where there are none.
    """

    def __init__(
        self, web: Web, address: str, key: str, currency: Callable[[], str | None]
    ) -> None:
        self._address = Address(web, address, key)
        self._currency = currency

    async def ask(self, subject: Subject) -> Wallet | None:
        """The balance as it is told now, None where there is no wallet.

        Raises:
            Unavailable: no balance could be had.
        """
        answer = await self._address.ask(subject)
        if answer.status == _NOT_FOUND:
            return None
        if not answer.is_success or not isinstance(answer.body, dict):
            raise Unavailable(f"whoever keeps the balance answered {answer.status}")
        return wallet_of(answer.body, subject, self._currency() or "")


def wallet_of(told: Mapping[str, object], subject: Subject, currency: str) -> Wallet:
    """A wallet from `{walletId, balance}`.

    Raises:
        Unavailable: that is not what was told.
    """
    balance, name = told.get("balance"), told.get("walletId")
    if not isinstance(balance, int) or isinstance(balance, bool) or abs(balance) > MAX_INTEGER:
        raise Unavailable(f"the balance is told as {balance!r:.80}, not as whole micro-units")
    if told.get("currency", currency) != currency:
        raise Unavailable(
            f"the balance is told in {told['currency']!r:.80}, prices in {currency!r}"
        )
    return Wallet(
        subject.app_id,
        subject.user_id,
        balance,
        currency,
        name=name[:_LONGEST_NAME] if isinstance(name, str) else "",
    )
