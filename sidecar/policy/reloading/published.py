"""How do several processes come to the same policies? One judges, and publishes what is in force.

It stands in one file, replaced as a whole, which the others look at several times a second: its
contents were judged already, so whoever follows compiles them and judges nothing. What was
refused is in the report alone.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pydantic import TypeAdapter

from sidecar.domain.policies import Outcome, PolicyReport, Reloaded
from sidecar.errors import Unavailable
from sidecar.policy.pace import at_leisure
from sidecar.policy.reloading.contents import Contents, Origin
from sidecar.policy.reloading.in_force import Attempt
from sidecar.policy.snapshot import PolicySet

_LOOK_S: Final = 0.1
_RETRY_S: Final = 5.0
_PATIENCE_S: Final = 60.0
"""How long whoever asked for a reload waits for its outcome."""

_log = structlog.get_logger("sidecar.policies")


@dataclass(frozen=True, slots=True)
class _Published:
    """What is in force, and what the latest attempt to change it came to.

    Attributes:
        policies: path and text of each file in force.
        prices: the same of the price file.
    """

    began_s: float
    outcome: Outcome
    report: PolicyReport
    policies: tuple[tuple[Path, str], ...]
    prices: tuple[Path, str] | None

    @property
    def revision(self) -> str | None:
        """Of what is in force, None where nothing is."""
        return None if self.report.in_force is None else self.report.in_force.revision

    @property
    def contents(self) -> Contents:
        """What was judged, without its tests."""
        prices = None if self.prices is None else (self.prices[0], self.prices[1].encode())
        return Contents(tuple((file, text.encode()) for file, text in self.policies), (), prices)


_FORM: Final = TypeAdapter(_Published)


def publish(file: Path, attempt: Attempt) -> None:
    """Let others know what is in force after an attempt."""
    contents = attempt.contents or Contents(())
    prices = None if contents.prices is None else (contents.prices[0], contents.prices[1].decode())
    published = _Published(
        attempt.began_s,
        attempt.reloaded.outcome,
        attempt.reloaded.report,
        tuple((path, content.decode()) for path, content in contents.policies),
        prices,
    )
    following = file.with_suffix(".following")
    following.write_bytes(_FORM.dump_json(published))
    following.replace(file)


class FollowedPolicies:
    """The policies that another process publishes.

    Args:
        origin: how they are taken; where they were read from stands in what is published.
        ask: tells the other process to read its directories again.
    """

    def __init__(self, file: Path, origin: Origin, ask: Callable[[], None]) -> None:
        self._file = file
        self._origin = origin
        self._ask = ask
        self._stamp = self._stamp_now()
        self._published = self._read()

    def compiled(self) -> PolicySet | None:
        """What is in force, None as long as nothing has loaded."""
        if self._published.revision is None:
            return None
        return self._published.contents.compiled(self._origin)

    @property
    def report(self) -> PolicyReport:
        """How it stands with the directory."""
        return self._published.report

    async def reload(self) -> Reloaded:
        """Have the directory judged, and return when the outcome is in force here.

        Raises:
            Unavailable: there is none yet.
        """
        asked_s = time.monotonic()
        self._ask()
        while self._published.began_s < asked_s:
            if time.monotonic() > asked_s + _PATIENCE_S:
                raise Unavailable("the policies are still being judged")
            await asyncio.sleep(_LOOK_S)
        return Reloaded(self._published.outcome, self._published.report)

    async def follow(self, put: Callable[[PolicySet], None]) -> None:
        """Take over what is published, whenever it is; never returns.

        Args:
            put: lets answers be made from a set from now on.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                stamp = self._stamp_now()
                if stamp != self._stamp:
                    await self._take(self._read(), put)
                    self._stamp = stamp
            except Exception as error:  # noqa: BLE001  whatever it is, what is in force stays
                _log.error("policies_not_followed", exc_info=error)
                await asyncio.sleep(_RETRY_S)

    async def _take(self, published: _Published, put: Callable[[PolicySet], None]) -> None:
        if published.revision not in (None, self._published.revision):
            policies = await asyncio.to_thread(self._compile, published.contents)
            put(policies)
            _log.info("policies_followed", revision=policies.revision)
        # What is told never runs ahead of what is in force.
        self._published = published

    def _compile(self, contents: Contents) -> PolicySet:
        with at_leisure():
            return contents.compiled(self._origin)

    def _read(self) -> _Published:
        return _FORM.validate_json(self._file.read_bytes())

    def _stamp_now(self) -> tuple[int, int]:
        found = self._file.stat()
        return found.st_ino, found.st_mtime_ns
