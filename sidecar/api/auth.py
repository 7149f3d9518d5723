"""Who is calling, and may it?"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sidecar.api.nearby import Nearby


class Role(StrEnum):
    """What a key is for."""

    RUNTIME = "runtime"
    INTERNAL = "internal"
    READ = "read"


class Unauthenticated(Exception):
    """No key, or none that is known."""


class Forbidden(Exception):
    """A known key, of a role that this is not for.

    Attributes:
        roles: those it is for.
    """

    def __init__(self, roles: Sequence[Role]) -> None:
        super().__init__(f"a key of the role {' or '.join(roles)} is needed")
        self.roles = tuple(roles)


@dataclass(frozen=True, slots=True)
class _Key:
    role: Role
    secret: bytes


class Keys:
    """The keys of all callers; with none configured, everybody may do everything.

    That is for loopback: the server refuses to listen elsewhere without a key.

    Args:
        nearby: whom everybody is, where no key is configured. Without it: anybody at all.
    """

    def __init__(
        self,
        runtime: Iterable[str] = (),
        internal: Iterable[str] = (),
        read: Iterable[str] = (),
        *,
        nearby: Nearby | None = None,
    ) -> None:
        given = {Role.RUNTIME: runtime, Role.INTERNAL: internal, Role.READ: read}
        self._keys = tuple(
            _Key(role, secret.encode()) for role, secrets in given.items() for secret in secrets
        )
        self._nearby = nearby

    def __repr__(self) -> str:
        return f"Keys({len(self._keys)})"

    @property
    def is_open(self) -> bool:
        """Whether none is configured."""
        return not self._keys

    def secrets(self, roles: Sequence[Role]) -> tuple[bytes, ...]:
        """The keys of some roles, for whoever signs with them."""
        return tuple(key.secret for key in self._keys if key.role in roles)

    def require(self, roles: Sequence[Role], headers: Mapping[bytes, bytes]) -> None:
        """Return if the caller may.

        Args:
            headers: of the request, names in lower case.

        Raises:
            Unauthenticated, Forbidden, Misnamed, FromElsewhere: it may not.
        """
        if not self._keys:
            if self._nearby is not None:
                self._nearby.require(headers)
            return
        presented = _presented(headers)
        known = set()
        for key in self._keys:
            # All are compared, each in constant time: how long it takes tells nothing.
            if hmac.compare_digest(key.secret, presented):
                known.add(key.role)
        if not known:
            raise Unauthenticated
        if known.isdisjoint(roles):
            raise Forbidden(roles)

    def knows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a caller shows one of these keys, whatever it is for."""
        shown = (bearer(headers), headers.get(b"x-internal-api-key", b""))
        # All are compared, as above.
        ours = [hmac.compare_digest(key.secret, each) for key in self._keys for each in shown]
        return any(ours)

    def of_the_user(self, headers: Mapping[bytes, bytes]) -> str:
        """The `Authorization` of whoever the caller speaks for; never one of these keys."""
        credentials = bearer(headers)
        # All are compared, as above.
        ours = [hmac.compare_digest(key.secret, credentials) for key in self._keys]
        if any(ours):
            return ""
        return headers.get(b"authorization", b"").decode("latin-1")


def _presented(headers: Mapping[bytes, bytes]) -> bytes:
    internal = headers.get(b"x-internal-api-key")
    return bearer(headers) if internal is None else internal


def bearer(headers: Mapping[bytes, bytes]) -> bytes:
    """What stands behind `Authorization: Bearer`, empty where nothing does."""
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    return credentials.strip() if scheme.lower() == b"bearer" else b""
