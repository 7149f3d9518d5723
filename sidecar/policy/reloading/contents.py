"""What stands in a policy directory now, and may it have changed since somebody looked?

Links are followed, so a directory whose files are links into another one that is swapped as a
whole (as Kubernetes does with a ConfigMap) is read like any other.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sidecar.domain.modes import Ceiling
from sidecar.domain.policies import FileDigest
from sidecar.errors import ConfigurationError
from sidecar.policy.diagnostics import InvalidPolicies
from sidecar.policy.files import content_of
from sidecar.policy.load import examine_contents, policy_files, test_files
from sidecar.policy.price_file import prices_of
from sidecar.policy.remedies import Urls
from sidecar.policy.snapshot import PolicySet

_SETTLES_IN: Final = 5
"""Times that files are read in search of two that agree."""
_TICK_NS: Final = 2_000_000_000
"""Two changes within one tick of a file system's clock may look like one; this is the coarsest."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where policies come from, and how they are taken.

    Attributes:
        directory: of the files, or one file.
        prices: the price file, None where nothing has a price.
        tests_s: how long the tests beside the policies may take, 0 where none are run.
    """

    directory: Path
    prices: Path | None = None
    ceiling: Ceiling = Ceiling.AS_WRITTEN
    urls: Urls = field(default_factory=Urls)
    tests_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Contents:
    """The bytes of every file that says anything, as they were at one time."""

    policies: tuple[tuple[Path, bytes], ...]
    tests: tuple[tuple[Path, bytes], ...] = ()
    prices: tuple[Path, bytes] | None = None

    @property
    def digests(self) -> tuple[FileDigest, ...]:
        """Every file with its digest."""
        prices = () if self.prices is None else (self.prices,)
        kinds = (("policy", self.policies), ("test", self.tests), ("prices", prices))
        return tuple(
            FileDigest(file.name, kind, hashlib.sha256(content).hexdigest())
            for kind, files in kinds
            for file, content in files
        )

    def compiled(self, origin: Origin) -> PolicySet:
        """The policies that these files are.

        Raises:
            InvalidFiles: with every finding of every file.
        """
        examined = examine_contents(
            self.policies,
            ceiling=origin.ceiling,
            urls=origin.urls,
            prices=None if self.prices is None else prices_of(*self.prices),
        )
        if examined.policies is None:
            raise InvalidPolicies(examined.findings)
        return examined.policies


class Unsettled(ConfigurationError):
    """Files that change while they are read."""


def read(origin: Origin) -> Contents:
    """The files as they are.

    Raises:
        ConfigurationError: there is nothing to load, or something cannot be read.
    """
    directory, prices = origin.directory, origin.prices
    try:
        return Contents(
            policies=tuple((file, content_of(file)) for file in policy_files(directory)),
            tests=tuple((file, content_of(file)) for file in test_files(directory)),
            prices=None if prices is None else (prices, content_of(prices)),
        )
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot be read: {error.strerror}") from error


def read_settled(origin: Origin) -> Contents:
    """The files as they are, all of one time: two readings agree.

    Raises:
        Unsettled: they never do.
        ConfigurationError: there is nothing to load, or something cannot be read.
    """
    before = read(origin)
    for _ in range(_SETTLES_IN):
        after = read(origin)
        if after == before:
            return after
        before = after
    raise Unsettled(f"{origin.directory}: the files change while they are read")


@dataclass(frozen=True, slots=True)
class Glance:
    """What the file system says of the files without opening one."""

    seen: tuple[tuple[object, ...], ...]
    newest_ns: int

    def is_enough(self, at_ns: int) -> bool:
        """Whether the same again, looked at since then, means that nothing has changed."""
        return self.newest_ns + _TICK_NS < at_ns


def glance(origin: Origin) -> Glance:
    """Names, sizes, times and places of the files; cheap enough for every few seconds."""
    seen: list[tuple[object, ...]] = []
    newest_ns = 0
    for path in _all_of(origin):
        try:
            found = path.stat()
        except OSError as error:
            seen.append((path.name, error.errno))
            continue
        newest_ns = max(newest_ns, found.st_mtime_ns, found.st_ctime_ns)
        seen.append(
            (
                path.name, os.path.realpath(path), found.st_dev, found.st_ino, found.st_size,
                found.st_mtime_ns, found.st_ctime_ns,
            )
        )  # fmt: skip
    return Glance(tuple(seen), newest_ns)


def now_ns() -> int:
    """The time by which file systems stamp their files."""
    return time.time_ns()


def _all_of(origin: Origin) -> Iterator[Path]:
    if origin.prices is not None:
        yield origin.prices
    yield origin.directory
    # Whatever cannot be listed, reading says so.
    with suppress(OSError):
        yield from sorted(origin.directory.iterdir())
