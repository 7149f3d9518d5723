"""What does a browser ask for?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from starlette.types import Receive, Scope

from sidecar.api.problem import BodyTooLarge

HOME: Final = "/dashboard"
OVERVIEW: Final = "/dashboard/overview"
"""The first page under a name; a cookie for `/dashboard` does not go to `/dashboard.csv`."""
SIGN_IN: Final = "/dashboard/sign-in"
COOKIE: Final = "sidecar_dashboard"
BROWSER_COOKIE: Final = "sidecar_dashboard_browser"
_FORM_LIMIT: Final = 8 * 1024
_OURS: Final = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        query: the last value of each parameter; empty ones are left out.
        headers: names in lower case.
        client: the address that is connected, empty for a socket.
        forwarded: what proxies say of where it comes from, as `X-Forwarded-For`.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes] = field(repr=False)
    scheme: str
    client: str
    forwarded: str
    now: datetime

    @property
    def is_live(self) -> bool:
        """Whether a page that is open already asks what is new."""
        return b"hx-request" in self.headers

    @property
    def is_secure(self) -> bool:
        """Whether it came over https, to us or to whoever stands in front."""
        return "https" in (self.scheme, self._header(b"x-forwarded-proto"))

    @property
    def host(self) -> str:
        """What the browser calls us."""
        return self._header(b"host")

    @property
    def origin(self) -> str:
        """What the addresses of the API begin with."""
        return f"{'https' if self.is_secure else 'http'}://{self.host}"

    @property
    def address(self) -> str:
        """Its path and query, as another request has them again."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")

    def spreadsheet(self, table: str) -> str:
        """Where a table of the same page is had as a file."""
        path = OVERVIEW if self.path.rstrip("/") == HOME else self.path
        return f"{path}.csv?{urlencode({**self.query, 'table': table})}"

    @property
    def has_key(self) -> bool:
        """Whether it brings a key as a program does."""
        return b"authorization" in self.headers or b"x-internal-api-key" in self.headers

    @property
    def is_of_this_site(self) -> bool:
        """Whether a page of ours sent it, as far as the browser says."""
        origin = self._header(b"origin")
        if origin:
            parts = _parts(origin)
            return parts is not None and parts.netloc == self.host
        return self._header(b"sec-fetch-site") in _OURS

    def cookie(self, named: str = COOKIE) -> str:
        """What a cookie of ours says, by default of who is signed in; empty where there is none."""
        for pair in self._header(b"cookie").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == named:
                return value
        return ""

    def _header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


def asked_of(scope: Scope, now: datetime) -> Asked:
    """The request of an ASGI scope."""
    client = scope.get("client")
    return Asked(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
        headers=dict(scope["headers"]),
        scheme=scope["scheme"],
        client=client[0] if client else "",
        # Each proxy may add a line of its own, the nearest the last one.
        forwarded=b",".join(
            value for name, value in scope["headers"] if name == b"x-forwarded-for"
        ).decode("latin-1"),
        now=now,
    )


async def read_form(receive: Receive) -> Mapping[str, str]:
    """The fields of a form.

    Raises:
        BodyTooLarge: it is none of ours.
    """
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _FORM_LIMIT:
            raise BodyTooLarge(_FORM_LIMIT)
        if not message.get("more_body", False):
            return dict(parse_qsl(body.decode("latin-1")))


def ours(address: str) -> str:
    """Where to go after signing in: a page of the dashboard, or the first one."""
    parts = _parts(address)
    if parts is None or parts.scheme or parts.netloc or "\\" in address:
        return HOME
    inside = parts.path == HOME or parts.path.startswith(f"{HOME}/")
    # A browser goes up where it says so, escaped or not.
    up = ".." in unquote(parts.path).split("/")
    # It drops control characters from addresses too, and may read something else then.
    return address if inside and not up and address.isprintable() else HOME


def _parts(address: str) -> SplitResult | None:
    """What an address consists of, None where it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return None
