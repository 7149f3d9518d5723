"""An AG2 agent asks before each call of its model; the model is local."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import pytest
from ag2 import Agent, Context
from ag2.config import LLMClient, ModelProvider
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelResponse,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResultEvent,
    Usage,
)

from sidecar.client import AsyncEntitlements, PaymentRequired, acting_for
from sidecar.client.ag2 import EntitledModel
from tests.client.conftest import used
from tests.processes import Sidecar

PROMPT, ANSWER = 12, 150


class LocalModel(LLMClient):
    """Looks something up first where there is a tool for it; adds up what it has used."""

    provider: ModelProvider
    model = "local-model"

    def __init__(self, *, fails: bool = False) -> None:
        self.calls = 0
        self.total = 0
        self._fails = fails

    def copy(self) -> Self:
        return self

    def create(self) -> LLMClient:
        return self

    def create_files_client(self) -> Any:
        raise NotImplementedError("it reads no files")

    async def __call__(
        self, messages: Sequence[BaseEvent], context: Context, **known: Any
    ) -> ModelResponse:
        self.calls += 1
        if self._fails:
            raise TimeoutError("the model is gone")
        self.total += PROMPT + ANSWER
        usage = Usage(prompt_tokens=PROMPT, completion_tokens=ANSWER)
        if known.get("tools") and not any(isinstance(each, ToolResultEvent) for each in messages):
            calls = ToolCallsEvent([ToolCallEvent(name="look_up", arguments='{"word": "cat"}')])
            return ModelResponse(tool_calls=calls, usage=usage, model=self.model)
        message = ModelMessage("A cat is a small carnivore.")
        await context.send(message)
        return ModelResponse(message, usage=usage, model=self.model)


def look_up(word: str) -> str:
    """What a word means."""
    return f"{word}: a small carnivore"


@pytest.fixture
async def entitlements(sidecar: Sidecar) -> AsyncIterator[AsyncEntitlements]:
    async with AsyncEntitlements(sidecar.url, key="runtime-key", app_id="acme") as made:
        yield made


async def test_each_call_of_the_model_is_charged_as_the_response_says(
    entitlements: AsyncEntitlements, sidecar: Sidecar, user: str
) -> None:
    model = LocalModel()
    guarded = EntitledModel(entitlements, agent="librarian", output_tokens=200)
    agent = Agent("librarian", config=model, tools=[look_up], middleware=[guarded])

    with acting_for(user):
        reply = await agent.ask("What is a cat?")

    assert reply.body == "A cat is a small carnivore."
    assert model.calls == 2
    assert used(sidecar, user) == (model.total, 0)


async def test_a_conversation_runs_until_the_quota_is_used_up_and_says_what_would_help(
    entitlements: AsyncEntitlements, sidecar: Sidecar, user: str
) -> None:
    model = LocalModel()
    guarded = EntitledModel(entitlements, refusals="say", output_tokens=200)
    agent = Agent("librarian", config=model, middleware=[guarded])

    with acting_for(user):
        replies = [(await agent.ask("What is a cat?")).body for _ in range(10)]

    # A thousand tokens a month, and each call may need over two hundred.
    assert model.calls == 5
    assert replies[:5] == ["A cat is a small carnivore."] * 5
    assert all(
        reply is not None and f"upgrade to pro: https://pay.example/acme/{user}/pro" in reply
        for reply in replies[5:]
    )
    assert used(sidecar, user) == (model.total, 0)


async def test_a_refusal_may_be_raised_out_of_the_conversation(
    entitlements: AsyncEntitlements, user: str
) -> None:
    model = LocalModel()
    guarded = EntitledModel(entitlements, output_tokens=2_000)
    agent = Agent("librarian", config=model, middleware=[guarded])

    with acting_for(user), pytest.raises(PaymentRequired, match="upgrade to pro"):
        await agent.ask("What is a cat?")

    assert model.calls == 0


async def test_a_model_that_fails_has_used_nothing(
    entitlements: AsyncEntitlements, sidecar: Sidecar, user: str
) -> None:
    guarded = EntitledModel(entitlements, output_tokens=200)
    agent = Agent("librarian", config=LocalModel(fails=True), middleware=[guarded])

    with acting_for(user), pytest.raises(TimeoutError):
        await agent.ask("What is a cat?")

    assert used(sidecar, user) == (0, 0)


def test_a_refusal_is_raised_or_said(entitlements: AsyncEntitlements) -> None:
    with pytest.raises(ValueError, match="'raise' or 'say'"):
        EntitledModel(entitlements, refusals="sing")  # type: ignore[arg-type] # what is tested
