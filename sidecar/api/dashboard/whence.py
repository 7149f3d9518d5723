"""Where does somebody come from, as far as that can be believed?

Behind a proxy all have its address. Where they come from it says in `X-Forwarded-For`, and
anybody else could say so too: whom to believe has to be told.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

SOCKET: Final = "unix"
"""How the unix socket is called among proxies: what connects there has no address."""
_HOUSEHOLD: Final = 64
"""Bits of an IPv6 address that one customer has not at will."""
_MOST: Final = 50


class Whence:
    """Finds the address of whoever asks.

    Args:
        proxies: addresses and networks of those that are believed, and `unix`.
    """

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        given = list(proxies)
        self._believes_socket = SOCKET in given
        self._networks = [ip_network(each, strict=False) for each in given if each != SOCKET]

    def of(self, client: str, forwarded: str) -> str:
        """The last one that no believed proxy stands for; of IPv6, the network of one customer.

        Args:
            client: who is connected, empty on a unix socket.
            forwarded: what `X-Forwarded-For` says, the nearest at its end.
        """
        found = client
        # Each says who stands before it, so who is not believed ends the chain.
        for told in reversed(forwarded.split(",")[-_MOST:]):
            if not self._believes(found) or _address(told) is None:
                break
            found = told.strip()
        return _grouped(found)

    def _believes(self, client: str) -> bool:
        if not client:
            return self._believes_socket
        address = _address(client)
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with a port behind it or without."""
    told = text.strip()
    if told.startswith("["):
        told = told[1:].partition("]")[0]
    elif told.count(":") == 1:
        told = told.partition(":")[0]
    try:
        found = ip_address(told)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _grouped(client: str) -> str:
    found = _address(client)
    if isinstance(found, IPv6Address):
        return str(ip_network((found.packed, _HOUSEHOLD), strict=False))
    return client if found is None else str(found)
