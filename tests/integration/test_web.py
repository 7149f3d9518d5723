"""Other servers, whatever they answer: bounded, and always an answer or a fault."""

import gzip
from collections.abc import Callable

import httpx
import pytest

from sidecar.adapters.web import Answer, Web
from sidecar.errors import Unavailable


async def asked(respond: Callable[[httpx.Request], httpx.Response], url: str) -> Answer:
    async with Web(transport=httpx.MockTransport(respond)) as web:
        return await web.ask("GET", url)


async def test_nothing_is_unpacked_that_nobody_asked_for() -> None:
    packed = httpx.Response(
        200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(gzip.compress(b"{}"))
    )

    def respond(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return packed

    with pytest.raises(Unavailable, match="encoding"):
        await asked(respond, "http://there/")


@pytest.mark.parametrize("url", ["http://there:abc/", "http://th\x7fere/", "http://\xff\x80/"])
async def test_an_address_that_is_none_is_as_one_that_does_not_answer(url: str) -> None:
    with pytest.raises(Unavailable, match="nobody can be asked there"):
        await asked(lambda _: httpx.Response(200), url)


@pytest.mark.parametrize("text", [b'{"plan":"\\ud800"}', b'{"n":NaN}', b"[" * 100_000, b"\xff"])
async def test_what_cannot_be_passed_on_as_json_is_no_body(text: bytes) -> None:
    answer = await asked(lambda _: httpx.Response(200, content=text), "http://there/")
    assert answer.body is None
