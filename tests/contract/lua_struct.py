"""What scripts use of Redis' Lua library `struct`, for fakeredis, which does not have it.

https://redis.io/docs/latest/develop/programmability/lua-api/#struct-library
"""

import struct
from contextlib import closing
from typing import Any

from fakeredis import FakeServer, FakeStrictRedis


def pack(form: bytes, *numbers: float) -> bytes:
    """Numbers as bytes; formats of doubles are the same in Python."""
    return struct.pack(form.decode(), *numbers)


def unpack(form: bytes, text: bytes, position: float = 1) -> tuple[float, ...]:
    """Numbers from a position on, then the position behind them."""
    begin = int(position) - 1
    return *struct.unpack_from(form, text, begin), begin + struct.calcsize(form) + 1


def give_struct(server: FakeServer) -> None:
    """Let the scripts of a server have it."""
    with closing(FakeStrictRedis(server=server)) as redis:
        # It makes its interpreter for the first script.
        redis.eval("return 1", 0)
    made: Any = server
    lua = made._lua_runtime
    lua.globals()[b"struct"] = lua.table_from({b"pack": pack, b"unpack": unpack})
    made._lua_expected_globals.add(b"struct")
