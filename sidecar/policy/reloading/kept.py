"""What does one process answer from, and what keeps it up to date?

A process that is alone watches its directories itself. Of several, one judges for all, and the
others follow what it publishes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from sidecar.beside import beside
from sidecar.domain.policies import Reloaded
from sidecar.errors import ConfigurationError
from sidecar.policy.reloading.contents import Origin
from sidecar.policy.reloading.in_force import WatchedPolicies
from sidecar.policy.reloading.judging import Accepted, Refused, judge
from sidecar.policy.reloading.published import FollowedPolicies, publish
from sidecar.policy.snapshot import PolicySet

_log = structlog.get_logger("sidecar.policies")
_LIVE, _SHADOW = "live.json", "shadow.json"


@dataclass(slots=True)
class LoadedPolicies:
    """The policies in force.

    Attributes:
        when_put: called after each change.
    """

    snapshot: PolicySet
    when_put: Callable[[], None] = lambda: None

    def put(self, policies: PolicySet) -> None:
        """Answer from another set from now on."""
        self.snapshot = policies
        self.when_put()


@dataclass(slots=True)
class Candidate:
    """The policies that answers are compared with; none as long as nothing has loaded."""

    snapshot: PolicySet | None = None

    def put(self, policies: PolicySet) -> None:
        """Compare with another set from now on."""
        self.snapshot = policies


@dataclass(frozen=True, slots=True)
class Found:
    """The directories of one installation, and what was found in them at the start.

    Attributes:
        shadow: None where no candidate is named.
    """

    origin: Origin
    live: Accepted
    shadow_origin: Origin | None = None
    shadow: Accepted | Refused | None = None


@dataclass(frozen=True, slots=True)
class KeptPolicies:
    """What this process answers from and compares with, and who reads it anew."""

    loaded: LoadedPolicies
    candidate: Candidate
    live: WatchedPolicies | FollowedPolicies
    shadow: WatchedPolicies | FollowedPolicies | None
    _tasks: Sequence[Callable[[], Coroutine[None, None, None]]]
    _asked: set[asyncio.Task[Reloaded]] = field(default_factory=set)

    def reload_soon(self) -> None:
        """Read all directories again; returns at once."""
        for directory in (self.live, self.shadow):
            if directory is None:
                continue
            task = asyncio.ensure_future(directory.reload())
            self._asked.add(task)
            task.add_done_callback(self._is_done)

    def _is_done(self, task: asyncio.Task[Reloaded]) -> None:
        self._asked.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("policies_not_reloaded", exc_info=task.exception())

    @asynccontextmanager
    async def up_to_date(self) -> AsyncIterator[None]:
        """Watch, or follow, as long as it is open."""
        async with AsyncExitStack() as stack:
            for work in self._tasks:
                await stack.enter_async_context(beside(work, "policies"))
            yield


def find(origin: Origin, shadow_origin: Origin | None = None) -> Found:
    """What stands in the directories at the start; a candidate may be wrong.

    Raises:
        ConfigurationError: there is nothing to answer from; the message has every finding.
    """
    live = judge(origin)
    if isinstance(live, Refused):
        raise ConfigurationError(live.message)
    shadow = None if shadow_origin is None else judge(shadow_origin)
    assert live is not None  # nothing is known yet that it could be the same as
    return Found(origin, live, shadow_origin, shadow)


def watched(found: Found, now: Callable[[], datetime], poll_s: float) -> KeptPolicies:
    """Policies that this process reads for itself.

    Args:
        poll_s: how often it looks whether files have changed, 0 for only when it is asked to.
    """
    loaded, candidate = LoadedPolicies(found.live.policies), Candidate()
    live = WatchedPolicies(found.origin, found.live, loaded.put, now)
    shadow = None
    if found.shadow_origin is not None and found.shadow is not None:
        shadow = WatchedPolicies(
            found.shadow_origin, found.shadow, candidate.put, now, "shadow_policies"
        )
    watching = [partial(each.watch, poll_s) for each in (live, shadow) if each and poll_s]
    return KeptPolicies(loaded, candidate, live, shadow, watching)


def published(kept: KeptPolicies, folder: Path) -> None:
    """Let other processes know what is in force, now and after each attempt to change it."""
    for directory, name in ((kept.live, _LIVE), (kept.shadow, _SHADOW)):
        if isinstance(directory, WatchedPolicies):
            telling = partial(publish, folder / name)
            telling(directory.latest)
            directory.after_each.append(telling)


def followed(
    folder: Path, origin: Origin, shadow_origin: Origin | None, ask: Callable[[], None]
) -> KeptPolicies:
    """Policies that another process reads.

    Args:
        ask: tells it to read its directories again.
    """
    live = FollowedPolicies(folder / _LIVE, origin, ask)
    policies = live.compiled()
    assert policies is not None  # nobody begins to publish before something is in force
    loaded, candidate = LoadedPolicies(policies), Candidate()
    following = [partial(live.follow, loaded.put)]
    shadow = None
    if shadow_origin is not None:
        shadow = FollowedPolicies(folder / _SHADOW, shadow_origin, ask)
        candidate.snapshot = shadow.compiled()
        following.append(partial(shadow.follow, candidate.put))
    return KeptPolicies(loaded, candidate, live, shadow, following)
