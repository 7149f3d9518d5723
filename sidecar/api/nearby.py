"""Who may ask where nobody has a key? Whoever calls this machine by its name, from no other site.

Such a server listens on loopback, which any page in a browser on this machine can reach. Browsers
tell where a page is from (`Origin`), but not with all that they send; a site whose name was made to
lead here (DNS rebinding) needs not even tell it. What it cannot help is to call us by that name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

ANY: Final = "*"

_LOOPBACK: Final = re.compile(rb"localhost|127(\.\d{1,3}){3}|\[::1\]")
_PORT: Final = re.compile(rb":\d{0,5}\Z")


_TOLD: Final = 100


class FromElsewhere(Exception):
    """A page of another site asks, through the browser of somebody who may."""


class Misnamed(Exception):
    """The server is called by a name that is not known to be its own.

    Attributes:
        name: as the caller has it, as far as it is worth telling.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name[:_TOLD].decode("ascii", "backslashreplace")
        super().__init__(f"called {self.name}")


class Nearby:
    """Tells callers of this machine from pages of other sites.

    Args:
        names: by which callers may call the server, beside localhost and loopback addresses; with
            `*` among them by any.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower().encode() for name in names)
        self._is_any = ANY.encode() in self._names
        # Most callers say the same each time.
        self._last: bytes | None = None

    def require(self, headers: Mapping[bytes, bytes]) -> None:
        """Return if the caller is one.

        Raises:
            Misnamed, FromElsewhere: it is none.
        """
        # Whoever says no name at all is no browser.
        host = headers.get(b"host")
        if host is not None and host != self._last:
            if not (self._is_any or self._is_ours(host)):
                raise Misnamed(host)
            self._last = host
        origin = headers.get(b"origin")
        if origin is not None:
            scheme, _, its_host = origin.partition(b"://")
            if scheme not in (b"http", b"https") or not self._is_ours(its_host):
                raise FromElsewhere

    def _is_ours(self, host: bytes) -> bool:
        name = _PORT.sub(b"", host).lower()
        return _LOOPBACK.fullmatch(name) is not None or name in self._names
