"""Which policies are in force? The last whole set that was accepted, until another one is.

A set is read, judged and tested in a thread, so that checks go on, and swapped by one assignment.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from sidecar.domain.policies import InForce, Outcome, PolicyReport, Rejection, Reloaded
from sidecar.errors import ConfigurationError
from sidecar.policy.pace import at_leisure
from sidecar.policy.reloading.contents import Contents, Glance, Origin, glance, now_ns, read
from sidecar.policy.reloading.judging import Accepted, Refused, judge
from sidecar.policy.snapshot import PolicySet

_SETTLE_S: Final = 0.25
"""How long files that were just changed have to stay as they are before they are judged."""

_log = structlog.get_logger("sidecar.policies")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the latest attempt to change the policies came to.

    Attributes:
        began_s: by the monotonic clock, which all processes of a machine share.
        contents: what is in force after it, None where nothing has loaded yet.
    """

    began_s: float
    reloaded: Reloaded
    contents: Contents | None


class WatchedPolicies:
    """The policies of one directory, and what became of the latest attempt to change them.

    Args:
        first: what was found at the start.
        put: lets answers be made from a set from now on.
        now: the aware UTC time.
        name: of these policies in the log.
    """

    def __init__(
        self,
        origin: Origin,
        first: Accepted | Refused,
        put: Callable[[PolicySet], None],
        now: Callable[[], datetime],
        name: str = "policies",
    ) -> None:
        self.after_each: list[Callable[[Attempt], None]] = []
        self._origin = origin
        self._put = put
        self._now = now
        self._name = name
        self._accepted: Accepted | None = None
        self._in_force: InForce | None = None
        self._rejection: Rejection | None = None
        self._seen: Contents | str | None = None
        self._glanced: Glance | None = None
        self._is_untold = False
        self._running: asyncio.Task[Reloaded] | None = None
        self._following: asyncio.Task[Reloaded] | None = None
        self.latest = self._attempt(time.monotonic(), self._take(first))
        if isinstance(first, Refused):
            self._tell(Outcome.REJECTED)

    @property
    def report(self) -> PolicyReport:
        """How it stands with the directory."""
        return PolicyReport(str(self._origin.directory), self._in_force, self._rejection)

    async def reload(self) -> Reloaded:
        """Judge what stands there now, and put it in force if it may be.

        Whoever asks while another judgement is under way waits for the next one, and shares it
        with all others who wait: what he has written may be later than what is being judged.
        """
        if self._following is None:
            self._following = asyncio.create_task(self._reload_after(self._running))
        return await asyncio.shield(self._following)

    async def watch(self, poll_s: float) -> None:
        """Reload when the content of the directory has changed; never returns.

        What was judged once is not judged again before it changes.
        """
        while True:
            await asyncio.sleep(poll_s)
            try:
                if self._is_untold or await asyncio.to_thread(self._has_changed):
                    await self._settle(min(poll_s, _SETTLE_S))
                    await self.reload()
            except Exception as error:  # noqa: BLE001  who watches goes on watching
                _log.error(f"{self._name}_not_watched", exc_info=error)

    # -- judging ----------------------------------------------------------------------------

    async def _reload_after(self, running: asyncio.Task[Reloaded] | None) -> Reloaded:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._following = self._following, None
        began_s, before, known = time.monotonic(), self._in_force, self._contents
        judged = await asyncio.to_thread(_judge, self._origin, known)
        self.latest = self._attempt(began_s, self._take(judged))
        self._tell(self.latest.reloaded.outcome, before)
        self._is_untold = True
        for listener in self.after_each:
            listener(self.latest)
        self._is_untold = False
        return self.latest.reloaded

    def _attempt(self, began_s: float, outcome: Outcome) -> Attempt:
        return Attempt(began_s, Reloaded(outcome, self.report), self._contents)

    @property
    def _contents(self) -> Contents | None:
        """What is in force."""
        return None if self._accepted is None else self._accepted.contents

    def _take(self, judged: Accepted | Refused | None) -> Outcome:
        """Put what was accepted in force; what was refused changes nothing but the report."""
        match judged:
            case Refused():
                self._seen = judged.contents or judged.message
                self._rejection = Rejection(
                    self._now(), judged.fault, judged.message, judged.findings, judged.untold
                )
                return Outcome.REJECTED
            case Accepted():
                self._seen = judged.contents
                outcome = self._accept(judged)
            case None:
                self._seen = self._contents
                outcome = Outcome.UNCHANGED
        if self._rejection is not None:
            self._rejection = replace(self._rejection, stands=False)
        return outcome

    def _accept(self, accepted: Accepted) -> Outcome:
        before, self._accepted = self._in_force, accepted
        if before is not None and before.revision == accepted.policies.revision:
            # Only its tests were edited; the set that is in force stays the same object.
            self._in_force = accepted.described(before.generation, before.loaded_at)
            return Outcome.UNCHANGED
        generation = 1 if before is None else before.generation + 1
        self._in_force = accepted.described(generation, self._now())
        self._put(accepted.policies)
        return Outcome.LOADED

    def _tell(self, outcome: Outcome, before: InForce | None = None) -> None:
        """Say in the log what became of an attempt: `policies_loaded`, `policies_rejected`, …."""
        event, rejection = f"{self._name}_{outcome}", self._rejection
        revision = _revision_of(self._in_force)
        if outcome is Outcome.REJECTED and rejection is not None:
            _log.error(event, in_force=revision, fault=rejection.fault, error=rejection.message)
        elif outcome is Outcome.LOADED:
            _log.info(event, revision=revision, before=_revision_of(before))
        else:
            _log.info(event, revision=revision)

    # -- watching ---------------------------------------------------------------------------

    def _has_changed(self) -> bool:
        at_ns = now_ns()
        glanced = glance(self._origin)
        if glanced == self._glanced:
            return False
        if _look(self._origin) != self._seen:
            return True
        # What is too fresh may change again without looking any different.
        self._glanced = glanced if glanced.is_enough(at_ns) else None
        return False

    async def _settle(self, pause_s: float) -> None:
        """Return when two looks see the same: a file may be half written, a set half copied."""
        before = await asyncio.to_thread(_look, self._origin)
        while True:
            await asyncio.sleep(pause_s)
            after = await asyncio.to_thread(_look, self._origin)
            if after == before:
                return
            before = after


def _revision_of(described: InForce | None) -> str | None:
    return None if described is None else described.revision


def _judge(origin: Origin, known: Contents | None) -> Accepted | Refused | None:
    with at_leisure():
        return judge(origin, known)


def _look(origin: Origin) -> Contents | str:
    try:
        return read(origin)
    except ConfigurationError as error:
        return str(error)
