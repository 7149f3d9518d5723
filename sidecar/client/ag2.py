"""How does an AG2 agent ask before each call of its model, and tell what the call has used?

It needs the `ag2` package, version 1. What AG2 spends beside the calls of an agent's own model (to
shorten its history, to keep its memory) does not pass through here: report it from its
`UsageEvent`s.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, Unpack, cast

from ag2.annotations import Context
from ag2.events import BaseEvent, ModelMessage, ModelResponse, estimated_tokens
from ag2.middleware.base import BaseMiddleware, LLMCall, MiddlewareFactory
from ag2.middleware.describe import MiddlewareDescription

from sidecar.client.asking import Asked
from sidecar.client.entitlements import AsyncEntitlements
from sidecar.client.faults import PaymentRequired
from sidecar.client.guard import caller

_LETTERS_OF_A_TOKEN: Final = 4
_LONGEST_ANSWER: Final = 1_000

Refusals = Literal["raise", "say"]


class EntitledModel(MiddlewareFactory):
    """Middleware of an agent: `Agent(..., middleware=[EntitledModel(entitlements)])`.

    Before each call of the model, its tokens are held for the user whom `acting_for` names: those
    of what is sent as AG2 estimates them, and `output_tokens` (1,000 unless told). After it, what
    the response says was used is charged.

    Args:
        refusals: `raise` a refusal out of the conversation as `PaymentRequired`, or `say` it as
            the model's answer, which ends the turn.
        asked: what else to ask: `output_tokens`, `agent`, `workflow`, `model`, `plugin`.

    Raises:
        ValueError: `refusals` is neither.
    """

    def __init__(
        self,
        entitlements: AsyncEntitlements,
        *,
        refusals: Refusals = "raise",
        **asked: Unpack[Asked],
    ) -> None:
        if refusals not in ("raise", "say"):
            raise ValueError(f"refusals is 'raise' or 'say', not {refusals!r}")
        self._entitlements = entitlements
        self._refusals: Refusals = refusals
        self._asked = cast("Asked", {"output_tokens": _LONGEST_ANSWER, **asked})

    def __call__(self, event: BaseEvent, context: Context) -> BaseMiddleware:
        """The middleware of one turn."""
        return _EntitledTurn(event, context, self._entitlements, self._asked, self._refusals)

    def describe(self) -> MiddlewareDescription:
        """What it is, for AG2's own descriptions."""
        config: dict[str, Any] = {"refusals": self._refusals, **self._asked}
        return MiddlewareDescription(kind=type(self).__qualname__, config=config)


class _EntitledTurn(BaseMiddleware):
    def __init__(
        self,
        event: BaseEvent,
        context: Context,
        entitlements: AsyncEntitlements,
        asked: Asked,
        refusals: Refusals,
    ) -> None:
        super().__init__(event, context)
        self._entitlements = entitlements
        self._asked = asked
        self._refusals = refusals

    async def on_llm_call(
        self, call_next: LLMCall, events: Sequence[BaseEvent], context: Context
    ) -> ModelResponse:
        who = caller()
        sent = sum(estimated_tokens(event, _LETTERS_OF_A_TOKEN) for event in events)
        asked = cast("Asked", {"input_tokens": sent, **who.and_of(self._asked)})
        try:
            async with self._entitlements.reserve(who.user_id, **asked) as held:
                response = await call_next(events, context)
                used = response.usage
                if used:
                    held.add(
                        input_tokens=int(used.prompt_tokens or 0),
                        output_tokens=int(used.completion_tokens or 0),
                        model=response.model,
                    )
                return response
        except PaymentRequired as refused:
            if self._refusals == "raise":
                raise
            message = ModelMessage(str(refused))
            await context.send(message)
            return ModelResponse(message)
