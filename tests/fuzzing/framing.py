"""Bytes that are nearly requests: broken framing, odd heads, and bodies that are nearly JSON."""

import asyncio
import json
import re
from pathlib import Path
from random import Random
from typing import Final

from sidecar.api.openapi.examples import Example, examples
from tests.clients.caller import Address
from tests.fuzzing.tally import Tally
from tests.processes import Sidecar

_PATIENCE_S: Final = 0.4
"""What the server bears, as many of these never end."""
_AT_ONCE: Final = 48
_STATUS: Final = re.compile(rb"(?:^|[}\n])HTTP/1\.1 (\d{3}) ")
_STATED: Final = (b":store_unavailable", b"subscription_unavailable")
"""What a 503 says that is no defect."""

_LENGTHS: Final = (
    b"-1", b"+5", b"0x10", b"1e3", b" ", b"", b"99999999999999999999", b"5, 5", b"5, 6", b"1_000",
    b"\xd9\xa5",
)  # fmt: skip
_LINES: Final = (
    b"POST /v1/check HTTP/9.9", b"POST /v1/check", b"post /v1/check HTTP/1.1", b"POST  HTTP/1.1",
    b"POST http://[::1/v1/check HTTP/1.1", b"POST //v1/check HTTP/1.1", b"POST * HTTP/1.1",
    b"POST /v1/check\x00 HTTP/1.1", b"POST /v1/check#x?y HTTP/1.1", b"GET /%zz HTTP/1.1",
    b"POST /v1/check HTTP/1.0", b"OPTIONS * HTTP/1.1", b"CONNECT a:80 HTTP/1.1", b"PRI * HTTP/2.0",
    b"GET http://user:secret@host/healthz HTTP/1.1", b"TRACE /v1/check HTTP/1.1",
    b"GET /v1/decisions/\xff\xfe HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)  # fmt: skip
_HEADERS: Final = (
    b"X: \x00", b"X\x00: y", b": y", b"X y: z", b" folded", b"X: a\r\n b", b"X: \xff\xfe",
    b"Host: a\r\nHost: b", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: \x0bchunked",
    b"Content-Encoding: gzip", b"Expect: 100-continue", b"Expect: 200-ok", b"Upgrade: websocket",
    b"Connection: Upgrade\r\nUpgrade: h2c", b"Connection: close, keep-alive", b"TE: trailers",
    b"Authorization: Bearer \xff", b"Authorization: Basic =", b"X-Request-ID: " + b"a" * 300,
    b"X-Request-ID: \x7f", b"Content-Type: application/cloudevents+json; charset=\xff",
    b"Content-Type: multipart/form-data", b"ce-specversion: 1.0\r\nce-id: \xff",
    b"Cookie: " + b"c" * 9_000,
    b"\r\n".join(b"X-%d: y" % number for number in range(2_000)), b"X: " + b"y" * 70_000,
)  # fmt: skip
_CHUNKS: Final = (
    b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\r\nab", b"5;a=b\r\nabcde\r\n0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n", b"5\nabcde\n0\n\n", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"0" * 70_000,
)  # fmt: skip
_TEXTS: Final = (
    b"", b"{", b"}", b"[]", b"null", b"NaN", b"{}" * 100, b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00",
    b'{"app_id": "a", "app_id": "b", "user_id": "u"}', b'{"app_id": NaN, "user_id": Infinity}',
    b'{"app_id": "\xed\xa0\x80", "user_id": "\xc0\x80"}', b'{"app_id": "\\ud800", "user_id": "u"}',
    b"[" * 60_000, b'{"a":' * 12_000, b"[" * 30_000 + b"]" * 30_000, b"9" * 60_000, b'"' * 60_000,
    b'{"app_id": "a", "user_id": "u", "estimated_tokens": 1e999}', b"{'app_id': 'a'}",
    b'{"app_id": "a", "user_id": "u",}', b"/*c*/{}", b" " * 60_000, b"{" + b'"a":1,' * 10_000,
    b"x" * 70_000, b"\x00" * 1_000,
)  # fmt: skip


def malformed(chance: Random) -> bytes:
    """One message that begins as a request of the document, with one thing or two wrong."""
    example = chance.choice([each for each in examples() if each.body is not None])
    line = b"POST " + example.route.format(**example.path).encode() + b" HTTP/1.1"
    body = _nearly_json(example, chance)
    # So that it is over when it was answered.
    headers = [b"Host: localhost", b"Content-Length: %d" % len(body), b"Connection: close"]
    for _ in range(chance.choice((0, 1, 1, 2))):
        match chance.randrange(6):
            case 0:
                headers[1] = b"Content-Length: " + chance.choice(_LENGTHS)
            case 1:
                line = chance.choice(_LINES)
            case 2:
                headers.insert(chance.randrange(len(headers) + 1), chance.choice(_HEADERS))
            case 3:
                headers[1] = b"Transfer-Encoding: chunked"
                body = chance.choice(_CHUNKS)
            case 4:
                headers.append(headers[1])
                headers[1] = b"Content-Length: %d" % chance.randrange(len(body) + 50)
            case _:
                headers.pop(chance.randrange(len(headers)))
    whole = b"\r\n".join([line, *headers, b"", body])
    return _bitten(whole, chance) if chance.random() < 0.3 else whole


def _nearly_json(example: Example, chance: Random) -> bytes:
    if chance.random() < 0.4:
        return chance.choice(_TEXTS)
    return _bitten(json.dumps(example.body).encode(), chance)


def _bitten(whole: bytes, chance: Random) -> bytes:
    """With some bytes changed, left out, put in or doubled."""
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(whole) + 1)
        until = min(len(whole), at + chance.choice((1, 1, 2, 8, 64)))
        same = whole[at:until]
        new = chance.choice((b"", chance.randbytes(len(same)), chance.randbytes(3), same * 2))
        whole = whole[:at] + new + whole[until:]
    return whole


async def send_malformed(folder: Path, messages: int, seed: int) -> Tally:
    """Send so many to a server that is started for them."""
    tally, chance = Tally(), Random(seed)
    env = {"SIDECAR_CLIENT_TIMEOUT_S": str(_PATIENCE_S), "SIDECAR_STORE_TIMEOUT_MS": "5000"}
    numbers = iter(range(messages))
    with Sidecar(store="sqlite:///./data/sidecar.db", cwd=folder, env=env) as sidecar:
        address = Address.of(sidecar.url)

        async def keep_sending() -> None:
            for _ in numbers:
                await _send(address, malformed(chance), tally)

        await asyncio.gather(*(keep_sending() for _ in range(_AT_ONCE)))
        assert sidecar.client.get("/healthz").status_code == 200
        assert sidecar.client.get("/readyz").status_code == 200
    errors = sidecar.errors()
    if "Traceback" in errors:
        tally.failures["a traceback in its log"] = errors[errors.index("Traceback") :][:3000]
    return tally


async def _send(address: Address, message: bytes, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    answer = b""
    try:
        writer.write(message)
        # Some forget to say that they are done; what was answered is waited for no longer.
        while data := await asyncio.wait_for(reader.read(65_536), 1 if answer else 20):
            answer += data
    except ConnectionError:
        # It was cut off while bytes were on their way.
        pass
    except TimeoutError:
        if not answer:
            tally.failures["a connection that nobody ends"] = repr(message[:2_000])
    finally:
        writer.close()
    tally.asked += 1
    statuses = [int(each) for each in _STATUS.findall(answer)]
    tally.statuses.update(statuses or [0])
    for status in statuses:
        if status >= 500 and not (status == 503 and any(each in answer for each in _STATED)):
            tally.failures[f"an answer with {status}"] = f"{message[:2_000]!r}: {answer[:2_000]!r}"
