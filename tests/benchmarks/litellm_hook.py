"""LiteLLM's rate limits as its proxy asks for them: the hook before a call, then the one after it.

It runs in an environment of its own, where LiteLLM is installed and nothing of ours is:

    python litellm_hook.py REDIS_URL --seconds 3 --callers 32
"""

import argparse
import asyncio
import json
import os
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

# No look at the internet for prices of models.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from litellm import ModelResponse, Usage
from litellm.caching import DualCache, RedisCache
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.hooks import parallel_request_limiter_v3 as limiter
from litellm.proxy.utils import InternalUsageCache

ROOM = 10**12
USERS = 1_000


def main() -> None:
    """Print what came of it as JSON: a call with both hooks is two requests."""
    parser = argparse.ArgumentParser()
    parser.add_argument("redis")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--callers", type=int, default=32)
    given = parser.parse_args()
    where = urlsplit(given.redis)
    cache = DualCache(redis_cache=RedisCache(host=where.hostname, port=where.port))
    hook = limiter._PROXY_MaxParallelRequestsHandler_v3(InternalUsageCache(cache))
    requests, lasted, cpu_s = asyncio.run(drive(hook, cache, given.seconds, given.callers))
    told = {"requests": requests, "us": lasted * 1e6, "cpu_us": cpu_s * 1e6}
    print(json.dumps(told | {"version": version("litellm")}))


async def drive(
    hook: Any, cache: DualCache, seconds: float, callers: int
) -> tuple[int, float, float]:
    """Ask until the time is over."""
    users = [
        UserAPIKeyAuth(
            api_key=f"key-{number}",
            user_id=f"user-{number}",
            team_id=f"team-{number % 50}",
            tpm_limit=ROOM,
            rpm_limit=ROOM,
            team_tpm_limit=ROOM,
        )
        for number in range(USERS)
    ]
    used = Usage(prompt_tokens=880, completion_tokens=210, total_tokens=1_090)
    answer = ModelResponse(model="gpt-4o", usage=used)

    async def ask(number: int) -> None:
        # As in a request of its own.
        limiter._request_stash.set(None)
        user, call = users[number % USERS], str(uuid4())
        data = {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "What did I ask yesterday?"}],
            "max_tokens": 300,
            "litellm_call_id": call,
        }
        await hook.async_pre_call_hook(user, cache, data, "acompletion")
        metadata = {
            "user_api_key_hash": user.api_key,
            "user_api_key_user_id": user.user_id,
            "user_api_key_team_id": user.team_id,
        }
        kwargs = {
            "litellm_call_id": call,
            "standard_logging_object": {"metadata": metadata},
            "litellm_params": {"metadata": {"model_group": "gpt-4o"}},
        }
        now = datetime.now(UTC)
        await hook.async_log_success_event(kwargs, answer, now, now)

    for number in range(callers):
        await ask(number)
    begun, cpu_s = time.perf_counter(), time.process_time()
    until, asked = begun + seconds, 0

    async def caller(first: int) -> None:
        nonlocal asked
        number = first
        while time.perf_counter() < until:
            await ask(number)
            number += callers
            asked += 1

    await asyncio.gather(*map(caller, range(callers)))
    return 2 * asked, time.perf_counter() - begun, time.process_time() - cpu_s


if __name__ == "__main__":
    main()
