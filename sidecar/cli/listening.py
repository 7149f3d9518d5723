"""Where does the server listen, who may connect, and how many?"""

import resource
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from sidecar.errors import ConfigurationError

_BACKLOG: Final = 2_048
_OTHER_FILES: Final = 200
"""What a process has open beside its connections: stores, logs, modules being read."""
_FEWEST: Final = 16


def file_mode(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """Permissions of a file, written in octal.

    Raises:
        BadParameter: they are none.
    """
    with suppress(ValueError):
        mode = int(value, 8)
        if 0 <= mode <= 0o777:
            return mode
    raise click.BadParameter(f"{value!r} is no mode of a file, as 660 is", context, parameter)


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket on an address, and how a client names it.

    Raises:
        ConfigurationError: it cannot be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # From here on callers queue, and the address that is printed is true.
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    shown = f"[{host}]" if ":" in host else host
    return listener, f"http://{shown}:{listener.getsockname()[1]}"


def listen_on_file(uds: Path, mode: int) -> tuple[socket.socket, str]:
    """A unix socket, and how a person names it.

    Args:
        mode: who may connect; 666 is as open as loopback is.

    Raises:
        ConfigurationError: it cannot be listened on.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if uds.is_socket():
            # Left behind by a server that was killed; one that still listens is not displaced.
            probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                probe.connect(str(uds))
            except ConnectionRefusedError:
                uds.unlink()
            finally:
                probe.close()
        listener.bind(str(uds))
        # Nobody can connect before it listens.
        uds.chmod(mode)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {uds}: {error.strerror or error}") from error
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    return listener, f"unix:{uds}"


def allow_connections(wanted: int) -> int:
    """Let this process and its workers open so many files, and say how many connections it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        soft = needed
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(_FEWEST, min(wanted, soft - _OTHER_FILES))
