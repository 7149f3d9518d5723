"""Messages are found whole, however their bytes come in."""

import pytest

from tests.faults.messages import Messages

MESSAGES = (
    b"+OK\r\n",
    b"-NOSCRIPT No matching script\r\n",
    b":42\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$12\r\nline\r\n*2\r\n$1\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n",
    b"*2\r\n*2\r\n:1\r\n*1\r\n+a\r\n$1\r\nb\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
    b"~2\r\n#t\r\n_\r\n",
    b"|1\r\n+ttl\r\n:9\r\n,3.5\r\n",
    b">2\r\n+pubsub\r\n=7\r\ntxt:abc\r\n",
    b"PING\r\n",
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_messages_are_the_same_however_many_bytes_come_at_once(size: int) -> None:
    data, messages, found = b"".join(MESSAGES), Messages(), []
    for start in range(0, len(data), size):
        found += messages.feed(data[start : start + size])
    assert tuple(found) == MESSAGES


@pytest.mark.parametrize("message", MESSAGES)
def test_what_is_not_whole_is_no_message(message: bytes) -> None:
    for end in range(len(message)):
        messages = Messages()
        assert messages.feed(message[:end]) == []
        assert messages.feed(message[end:]) == [message]
