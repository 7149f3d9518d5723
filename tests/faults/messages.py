"""Where does one message of Redis end and the next begin?

Commands and replies have the same form: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from typing import Final

_END: Final = b"\r\n"
_WITH_BYTES: Final = b"$=!"
_WITH_MESSAGES: Final = b"*~>"
_WITH_PAIRS: Final = b"%|"


class Messages:
    """Bytes as they come in, made into whole messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now."""
        data = self._rest + data
        messages, start = [], 0
        while (end := _end_of_message(data, start)) is not None:
            messages.append(data[start:end])
            start = end
        self._rest = data[start:]
        return messages


def _end_of_message(data: bytes, start: int) -> int | None:
    missing = 1
    while missing:
        line = data.find(_END, start)
        if line < 0:
            return None
        kind, count = data[start], data[start + 1 : line]
        start = line + len(_END)
        missing -= 1
        if kind in _WITH_BYTES:
            # -1 stands for nothing at all: no bytes and no end.
            if int(count) >= 0:
                start += int(count) + len(_END)
        elif kind in _WITH_MESSAGES:
            missing += max(0, int(count))
        elif kind in _WITH_PAIRS:
            missing += 2 * int(count) + (kind == ord("|"))
    return start if start <= len(data) else None
