"""Clients that do not behave, in a process of their own: `python -m tests.clients.rude URL …`.

Some go away at any point of a request or its answer, with a word or without; some send a byte now
and then, and begin again when they are cut off.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from tests.clients.caller import Address, request

_NO_WORD: Final = struct.pack("ii", 1, 0)
_BYTE_EVERY_S: Final = 0.5
_BEGIN_S: Final = 2.0
"""Within which slow ones begin, as those do who do not know of each other."""


@dataclass(slots=True)
class Told:
    """What they have done and seen.

    Attributes:
        slow_cut: how often a slow one was cut off.
        slow_longest_s: how long one was borne at most.
    """

    left: int = 0
    refused: int = 0
    slow_cut: int = 0
    slow_longest_s: float = 0.0


async def leave(address: Address, chance: random.Random, told: Told) -> None:
    """Begin something, and go away in the middle of it."""
    asked = request(
        "/v1/check",
        {"app_id": "acme", "user_id": f"u{chance.randrange(500)}", "reserve": True},
    )
    try:
        reader, writer = await asyncio.open_connection(address.host, address.port)
    except OSError:
        told.refused += 1
        return
    told.left += 1
    try:
        with suppress(OSError):
            writer.write(asked[: chance.randrange(len(asked) + 1)])
            if chance.random() < 0.3:
                writer.write(asked)
            await asyncio.sleep(chance.random() * 0.02)
            if chance.random() < 0.3:
                await asyncio.wait_for(reader.read(chance.randrange(1, 400)), 0.05)
    except TimeoutError:
        pass
    finally:
        if chance.random() < 0.5:
            plug = writer.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_WORD)
        writer.close()


async def crawl(address: Address, chance: random.Random, told: Told, until: float) -> None:
    """Send a byte now and then until it is cut off, again and again."""
    await asyncio.sleep(chance.random() * _BEGIN_S)
    asked = request("/v1/check", {"app_id": "acme", "user_id": "slow"})
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError:
            told.refused += 1
            await asyncio.sleep(0.1)
            continue
        began = time.monotonic()
        with suppress(OSError):
            for byte in asked:
                writer.write(bytes([byte]))
                try:
                    await asyncio.wait_for(reader.read(1), _BYTE_EVERY_S * chance.uniform(0.5, 1.5))
                except TimeoutError:
                    continue
                told.slow_cut += 1
                break
        told.slow_longest_s = max(told.slow_longest_s, time.monotonic() - began)
        writer.close()


async def storm(address: Address, *, leaving: int, slow: int, seconds: float, seed: int) -> Told:
    """So many that leave, evenly over so many seconds, beside so many that are slow."""
    chance, told = random.Random(seed), Told()
    begin = time.monotonic()
    crawling = [
        asyncio.create_task(crawl(address, chance, told, begin + seconds)) for _ in range(slow)
    ]
    tasks = set()
    for number in range(leaving):
        await asyncio.sleep(max(0.0, begin + number * seconds / leaving - time.monotonic()))
        task = asyncio.create_task(leave(address, chance, told))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks, *crawling)
    return told


def main() -> None:
    """Storm, and print what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    for name in ("leaving", "slow", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asked = parser.parse_args()
    # They are to be a burden to the server, not to whoever measures it.
    os.nice(2)
    told = asyncio.run(
        storm(
            Address.of(asked.url),
            leaving=asked.leaving,
            slow=asked.slow,
            seconds=asked.seconds,
            seed=asked.seed,
        )
    )
    json.dump(asdict(told), sys.stdout)


if __name__ == "__main__":
    main()
