"""One real redis-server on a port, ended by whoever began it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.processes import RedisNode, free_port

IN_MEMORY: Final = ('save ""', "appendonly no")
DURABLE: Final = ('save ""', "appendonly yes", "appendfsync always")
"""Whatever was answered is on the disk."""


@contextmanager
def redis_node(folder: Path, settings: tuple[str, ...] = IN_MEMORY) -> Iterator[RedisNode]:
    """A running server; whoever kills it may start it again."""
    node = RedisNode(folder / "node", free_port(), "maxmemory-policy noeviction", *settings)
    node.start()
    try:
        yield node
    finally:
        node.kill()


def url_of(node: RedisNode) -> str:
    """Where it is spoken to."""
    return f"redis://{node.name}"


def callers_of(node: RedisNode) -> int:
    """Connections that the server has, beside the one that asks."""
    return len(str(node.ask("CLIENT", "LIST")).splitlines()) - 1
