"""Are the examples of the document what a server answers? `python -m tests.examples` writes them.

They are asked one after the other of a server on the quickstart's policies, with prices. What
differs from day to day (ids, times, digests, where the policies are) may differ; all else may
not. A new example is written without its `answer`.
"""

import asyncio
import json
import re
from dataclasses import fields
from typing import Any

import httpx

from sidecar.api.openapi.examples import FILE, Example, examples
from tests.in_process import application
from tests.processes import ROOT

_FOLDER = "/srv/sidecar"
_IDS = re.compile(r"\b(?:dec|exp|res|evt)_[\w.~-]+")
_OF_TODAY = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<digest>"),
    (_IDS, "<id>"),
)
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")
_AS_A_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"
"""What is shown for one: none that was ever good for anything."""
_OF_THE_RUN = {
    "python", "uptime_s", "latency_ms", "for_s", "pid", "tasks", "entries", "hits", "misses",
    "waiting",
}  # fmt: skip
"""Members whose values are of one run of the server, or of the machine."""


def without_today(value: Any) -> Any:
    """An answer without what is another tomorrow."""
    match value:
        case str():
            for pattern, word in _OF_TODAY:
                value = pattern.sub(word, value)
            return value
        case list():
            return [without_today(each) for each in value]
        case dict():
            return {
                name: "<run>" if name in _OF_THE_RUN else without_today(each)
                for name, each in value.items()
            }
        case _:
            return value


async def asked() -> list[tuple[Example, httpx.Response, Any]]:
    """Each example with its answer, and the answer's body as it can be shown."""
    real: dict[str, str] = {}
    found, token = [], ""
    prices = ROOT / "policies/prices/example.yaml"
    async with application("policies/quickstart", sidecar_prices=prices) as client:
        for example in examples():
            answer = await client.request(
                example.method,
                _path(example, real),
                params={name: _real(value, real) for name, value in example.query.items()},
                content=None if example.body is None else json.dumps(example.body),
                headers={"Content-Type": example.media_type}
                | ({"Authorization": f"Bearer {token}"} if example.personal else {}),
            )
            given = _TOKEN.search(answer.text)
            token = given[0] if given else token
            body = _shown(answer)
            real |= _ids_of(example.answer, body)
            found.append((example, answer, body))
    return found


def _shown(answer: httpx.Response) -> Any:
    text = _TOKEN.sub(_AS_A_TOKEN, answer.text.replace(str(ROOT), _FOLDER))
    return text if answer.headers["content-type"] == "application/x-ndjson" else json.loads(text)


def _path(example: Example, real: dict[str, str]) -> str:
    path = example.route.replace(":path", "")
    for name, value in example.path.items():
        path = path.replace(f"{{{name}}}", _real(value, real))
    return path


def _real(text: str, real: dict[str, str]) -> str:
    return real.get(text, text)


def _ids_of(shown: Any, body: Any) -> dict[str, str]:
    """The id that was given, for each that an answer shows."""
    shown_ids, given = (_IDS.findall(json.dumps(each)) for each in (shown, body))
    return dict(zip(shown_ids, given, strict=False))


async def _write() -> None:
    written: list[dict[str, Any]] = []
    shown: dict[str, str] = {}
    for example, answer, body in await asked():
        assert answer.status_code == example.status, (example, answer.text)
        shown |= _ids_of(example.answer, body)
        told = {each.name: getattr(example, each.name) for each in fields(example)} | {
            "answer": body,
            "path": {name: _real(value, shown) for name, value in example.path.items()},
        }
        as_always: tuple[object, ...] = (None, {}, "application/json", False)
        written.append({name: of for name, of in told.items() if of not in as_always})
    FILE.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    asyncio.run(_write())
