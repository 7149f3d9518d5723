"""Which files do pages need beside themselves? Scripts, styles and a picture, all served here."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "static"
_PREFIX: Final = "/dashboard/static/"
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class File:
    """One of them."""

    content: bytes
    media_type: str
    digest: str


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES)


@cache
def _file(name: str) -> File:
    content = (_FOLDER / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return File(content, _TYPES[Path(name).suffix], digest)


def file_at(path: str) -> File | None:
    """The file of an address, None where there is none."""
    name = path.removeprefix(_PREFIX)
    return _file(name) if path.startswith(_PREFIX) and name in _names() else None


def address_of(name: str) -> str:
    """Where a file is had; another content has another address, so that caches may keep it."""
    return f"{_PREFIX}{name}?{_file(name).digest}"
