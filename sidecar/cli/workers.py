"""Which policies does a worker begin with? The last that loaded, whatever is being edited."""

import contextlib
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

from sidecar.bootstrap import load_policies
from sidecar.errors import ConfigurationError
from sidecar.policy.load import policy_files, shipped
from sidecar.settings import Settings

_log = structlog.get_logger("sidecar.policies")


class KeptPolicies:
    """A copy of the policy files that loaded last, for every worker that is begun."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._generation = 0
        self.path = folder / "current"
        self._keep()

    def refresh(self) -> bool:
        """Take the directory as it is now, if it loads; whether it did."""
        try:
            self._keep()
        except ConfigurationError as error:
            _log.error("policies_rejected", error=str(error))
            return False
        return True

    def _keep(self) -> None:
        source = self._settings.sidecar_policies or shipped("self-hosted")
        self._generation += 1
        copy = self._folder / str(self._generation)
        copy.mkdir()
        try:
            for file in policy_files(source):
                shutil.copyfile(file, copy / file.name)
        except OSError as error:
            raise ConfigurationError(f"{source}: cannot be read: {error.strerror}") from error
        # What is judged is the copy, so that no later edit slips in; if it is wrong, the
        # directory itself is judged again for the sake of the names in the messages.
        try:
            load_policies(self._settings.model_copy(update={"sidecar_policies": copy}))
        except ConfigurationError:
            load_policies(self._settings)
            raise
        following = self._folder / "following"
        following.symlink_to(copy)
        following.replace(self.path)


@contextlib.contextmanager
def kept_policies(settings: Settings) -> Iterator[KeptPolicies]:
    """Copies in a folder of their own, which goes away in the end."""
    with tempfile.TemporaryDirectory(prefix="sidecar-policies-") as folder:
        yield KeptPolicies(settings, Path(folder))


class Workers(Multiprocess):
    """uvicorn's supervisor; a hang-up begins new workers only with policies that load."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], kept: KeptPolicies
    ) -> None:
        super().__init__(config, sockets)
        self._kept = kept

    def handle_hup(self) -> None:
        """Read the policies again, and replace the workers if they load."""
        if self._kept.refresh():
            super().handle_hup()
