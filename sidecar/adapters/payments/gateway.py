"""The platform's gateway takes the money; what comes of it is pushed back as a subscription."""

from collections.abc import Mapping
from typing import Final

from sidecar.adapters.web import Answer, Web
from sidecar.domain.checkout import Checkout, OnBehalf
from sidecar.errors import PaymentsRefused, PaymentsUnavailable, Unavailable

_CHECKOUT: Final = "/api/mozaiks/pay/checkout"
_CANCEL: Final = "/api/mozaiks/pay/cancel"


class GatewayPayments:
    """Hands checkouts and cancellations on, with the user's own authorization.

    Args:
        url: of the gateway, without a path.
        key: that lets the app in, empty where none is needed.
    """

    def __init__(self, web: Web, url: str, key: str = "") -> None:
        self._web = web
        self._url = url.rstrip("/")
        self._key = key

    async def checkout(self, plan: str, who: OnBehalf) -> Checkout:
        """A page of the gateway's.

        Raises:
            PaymentsRefused: the gateway said no.
            PaymentsUnavailable: it did not answer, or not with a page.
        """
        body = {
            "scope": "app",
            "appId": who.app_id,
            "plan": plan,
            "metadata": {"userId": who.user_id},
        }
        answer = await self._ask(_CHECKOUT, body, who)
        match answer.body:
            case {"checkoutUrl": str(url), **rest} if url:
                session = rest.get("sessionId")
                return Checkout(url, session if isinstance(session, str) else "")
        raise PaymentsUnavailable("the gateway answered without a checkoutUrl")

    async def cancel(self, who: OnBehalf) -> None:
        """Ask the gateway to end a subscription; it tells when that has come to pass.

        Raises:
            PaymentsRefused, PaymentsUnavailable: it will not, or did not answer.
        """
        body = {"scope": "app", "appId": who.app_id, "metadata": {"userId": who.user_id}}
        await self._ask(_CANCEL, body, who)

    async def _ask(self, path: str, body: Mapping[str, object], who: OnBehalf) -> Answer:
        headers = {
            "x-correlation-id": who.correlation_id,
            "x-mozaiks-app-key": self._key,
            "Authorization": who.authorization,
        }
        given = {name: value for name, value in headers.items() if value}
        try:
            answer = await self._web.ask("POST", self._url + path, headers=given, body=body)
        except Unavailable as error:
            raise PaymentsUnavailable(str(error)) from error
        if answer.is_success:
            return answer
        if 400 <= answer.status < 500 and answer.status != 429:
            raise PaymentsRefused(answer.status)
        raise PaymentsUnavailable(f"the gateway answered {answer.status}")
