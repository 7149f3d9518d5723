"""What does a redis-server say of its own work?"""

import asyncio
import re
import time
from pathlib import Path
from typing import Any, Final

from redis import Redis

_QUIET_S: Final = 10.0


class ObservedRedis:
    """A server, asked over a connection beside those that are measured.

    Args:
        socket: where it listens.
    """

    def __init__(self, socket: Path) -> None:
        self._redis = Redis(unix_socket_path=str(socket), decode_responses=True)

    def ask(self, *command: str | int) -> Any:
        """The reply of a command."""
        return self._redis.execute_command(*command)  # type: ignore[no-untyped-call] # its own gap

    def values(self, *keys: str) -> list[bytes | None]:
        """What stands under these keys, to the byte."""
        found: list[bytes | None] = self._redis.execute_command("MGET", *keys, NEVER_DECODE=True)  # type: ignore[no-untyped-call] # its own gap
        return found

    def clear(self) -> None:
        """Forget all data, and begin to count anew."""
        self.ask("FLUSHALL", "SYNC")
        self.forget_calls()

    def forget_calls(self) -> None:
        """Begin to count anew."""
        self.ask("CONFIG", "RESETSTAT")

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    @property
    def scripts(self) -> tuple[int, int]:
        """How many scripts were called by their digests, and microseconds in them."""
        stats = self.ask("INFO", "commandstats").get("cmdstat_evalsha")
        return (int(stats["calls"]), int(stats["usec"])) if stats else (0, 0)

    @property
    def calls(self) -> int:
        """Commands that scripts made: those that nothing but scripts send here."""
        stats = self.ask("INFO", "commandstats")
        sent = {"evalsha", "info", "config|resetstat", "flushall", "ping", "script|load"}
        return sum(
            int(each["calls"])
            for name, each in stats.items()
            if name.removeprefix("cmdstat_") not in sent
        )

    @property
    def cpu_s(self) -> float:
        """CPU that the server has used, all threads."""
        told = self.ask("INFO", "cpu")
        return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])

    @property
    def process(self) -> int:
        """The number of its process."""
        return int(self.ask("INFO", "server")["process_id"])

    async def memory(self) -> int:
        """Bytes that it uses, as soon as nobody but us is connected."""
        deadline = time.monotonic() + _QUIET_S
        while int(self.ask("INFO", "clients")["connected_clients"]) > 1:
            assert time.monotonic() < deadline, "somebody stays connected"
            await asyncio.sleep(0.01)
        return self.used_memory

    @property
    def used_memory(self) -> int:
        """Bytes that it uses, connections and all."""
        return int(self.ask("INFO", "memory")["used_memory"])

    def weight(self, key: str) -> int:
        """Bytes of one key with its value."""
        return int(self.ask("MEMORY", "USAGE", key, "SAMPLES", 0))

    def keys(self, pattern: str) -> list[str]:
        """The keys whose names look like this."""
        return [str(key) for key in self.ask("KEYS", pattern)]

    def delete(self, *patterns: str) -> int:
        """Delete all keys that look like these; how many there were."""
        keys = [key for pattern in patterns for key in self.keys(pattern)]
        for begin in range(0, len(keys), 1_000):
            self.ask("DEL", *keys[begin : begin + 1_000])
        return len(keys)

    @property
    def version(self) -> str:
        """Which Redis it is."""
        return re.sub(r"[^\d.]", "", str(self.ask("INFO", "server")["redis_version"]))
