"""Which policies and prices does a worker begin with? The last that loaded, whatever is edited."""

import contextlib
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

from sidecar.bootstrap import policies_with
from sidecar.errors import ConfigurationError
from sidecar.policy.files import content_of
from sidecar.policy.load import policy_files, shipped
from sidecar.policy.price_file import prices_of
from sidecar.policy.prices import PriceList
from sidecar.settings import Settings

_log = structlog.get_logger("sidecar.policies")


class KeptPolicies:
    """A copy of the policy and price files that loaded last, for every worker that is begun."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._generation = 0
        self._prices = self._read_prices()
        self._keep()

    @property
    def settings(self) -> Settings:
        """The settings of a worker: what they name stays the copy that loaded last."""
        current = self._folder / "current"
        own = {"sidecar_policies": current / "policies"}
        if self._prices is not None:
            own["sidecar_prices"] = current / "prices.yaml"
        return self._settings.model_copy(update=own)

    def refresh(self) -> bool:
        """Take the files as they are now, if they load; whether the policies did."""
        try:
            self._prices = self._read_prices()
        except ConfigurationError as error:
            _log.error("prices_rejected", error=str(error))
        try:
            self._keep()
        except ConfigurationError as error:
            _log.error("policies_rejected", error=str(error))
            return False
        return True

    def _read_prices(self) -> tuple[bytes, PriceList] | None:
        file = self._settings.sidecar_prices
        if file is None:
            return None
        content = content_of(file)
        return content, prices_of(file, content)

    def _keep(self) -> None:
        source = self._settings.sidecar_policies or shipped("self-hosted")
        self._generation += 1
        copy = self._folder / str(self._generation)
        policies = copy / "policies"
        policies.mkdir(parents=True)
        try:
            for file in policy_files(source):
                shutil.copyfile(file, policies / file.name)
        except OSError as error:
            raise ConfigurationError(f"{source}: cannot be read: {error.strerror}") from error
        content, prices = self._prices or (b"", None)
        (copy / "prices.yaml").write_bytes(content)
        # What is judged is the copy, so that no later edit slips in; if it is wrong, the
        # directory itself is judged again for the sake of the names in the messages.
        try:
            policies_with(self._settings.model_copy(update={"sidecar_policies": policies}), prices)
        except ConfigurationError:
            policies_with(self._settings, prices)
            raise
        following = self._folder / "following"
        following.symlink_to(copy)
        following.replace(self._folder / "current")


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
