"""How is a place in an export written, so that only we read it?"""

import base64

import orjson

from sidecar.errors import UnknownCursor


def write_cursor(*parts: object) -> str:
    """Some places and words, as one."""
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def read_cursor(cursor: str) -> object:
    """What was written, as a list.

    Raises:
        UnknownCursor: this was not.
    """
    try:
        return orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise UnknownCursor from None
