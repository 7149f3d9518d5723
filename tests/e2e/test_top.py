"""`sidecar top`: what goes on, once into a pipe and live on a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.commands import sidecar as run
from tests.processes import START_S, Sidecar, clean_environment

CHECK = {"app_id": "demo", "user_id": "ann", "plugin": "basic_search"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sidecar]:
    with Sidecar(store="sqlite://", cwd=tmp_path) as running:
        yield running


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._screen, its_end = pty.openpty()
        fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", *words],
            cwd=folder,
            env=clean_environment() | {"TERM": "xterm-256color"},
            stdin=its_end, stdout=its_end, stderr=its_end,
            start_new_session=True,
        )  # fmt: skip
        os.close(its_end)
        self.shown = ""

    def read_until(self, pattern: str) -> None:
        """Return when it was shown."""
        deadline = time.monotonic() + START_S
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.shown!r}"
            if select.select([self._screen], [], [], 0.1)[0]:
                self._read()

    def _read(self) -> bool:
        with suppress(OSError):
            read = os.read(self._screen, 65_536)
            self.shown += read.decode("utf-8", "replace")
            return bool(read)
        return False

    def end(self, how: signal.Signals) -> int:
        """Its exit code."""
        self.process.send_signal(how)
        while self._read():
            pass
        return self.process.wait(START_S)

    def close(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.wait(START_S)
        os.close(self._screen)


@contextmanager
def terminal(folder: Path, *words: str) -> Iterator[Terminal]:
    opened = Terminal(folder, *words)
    try:
        yield opened
    finally:
        opened.close()


def ask(server: Sidecar, tokens: int) -> int:
    body = CHECK | {"estimate": {"input_tokens": tokens}}
    return server.client.post("/v1/check", json=body).status_code


def test_into_a_pipe_it_looks_once(server: Sidecar, tmp_path: Path) -> None:
    assert (ask(server, 10), ask(server, 20_000)) == (200, 402)
    code, told, _ = run(tmp_path, "top", "--url", server.url, "--interval", "0.1", "--app", "demo")

    assert code == 0
    assert told.startswith(f"OK sidecar 0.1.0 at {server.url}, up ")
    assert re.search(r"^store ok$", told, re.MULTILINE)
    assert re.search(r"^free-tokens-per-month +0 +1 +0 +0$", told, re.MULTILINE)
    assert re.search(r"^demo +ann +deny +\S+Z +free-tokens-per-month +\.+ +0%$", told, re.MULTILINE)


def test_a_program_gets_rates_and_who_was_refused(server: Sidecar, tmp_path: Path) -> None:
    ask(server, 20_000)
    flags = ("--url", server.url, "--interval", "0.1", "--json")
    code, told, _ = run(tmp_path, "top", *flags)

    shown = json.loads(told)
    assert (code, shown["status"], shown["workers"]) == (0, "ok", 1)
    assert shown["interval_s"] >= 0.1
    assert shown["per_second"].keys() >= {"requests", "allow", "warn", "deny", "usage_tokens"}
    # Its own questions are not what somebody wants to know of.
    assert shown["per_second"]["requests"] == 0
    assert shown["seconds"]["event_loop_lag"].keys() == {"p50", "p99"}
    (subject,) = shown["subjects"]
    assert (subject["app_id"], subject["user_id"], subject["effect"]) == ("demo", "ann", "deny")
    assert subject["limit"] == "free-tokens-per-month"


def test_on_a_terminal_it_goes_on_until_ctrl_c(server: Sidecar, tmp_path: Path) -> None:
    with terminal(tmp_path, "top", "--url", server.url, "--interval", "0.1") as shown:
        shown.read_until("OK")
        ask(server, 20_000)
        shown.read_until("free-tokens-per-month")
        shown.read_until("█|░")
        code = shown.end(signal.SIGINT)

    assert code == 0
    assert "Traceback" not in shown.shown
    # The screen of before is back, and so is the cursor.
    assert "\x1b[?1049l" in shown.shown
    assert shown.shown.rindex("\x1b[?25h") > shown.shown.rindex("\x1b[?25l")


def test_whoever_ends_it_otherwise_gets_the_screen_back_too(
    server: Sidecar, tmp_path: Path
) -> None:
    with terminal(tmp_path, "top", "--url", server.url, "--interval", "0.1") as shown:
        shown.read_until("OK")
        code = shown.end(signal.SIGTERM)

    assert code == 143
    assert "\x1b[?1049l" in shown.shown


def test_it_outlives_the_server(server: Sidecar, tmp_path: Path) -> None:
    with terminal(tmp_path, "top", "--url", server.url, "--interval", "0.1") as shown:
        shown.read_until("OK")
        server.kill()
        shown.read_until("cannot be asked")
        code = shown.end(signal.SIGINT)

    assert code == 0


def test_without_colours_nothing_is_coloured(server: Sidecar, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "sidecar", "status", "--url", server.url]
    screen, its_end = pty.openpty()
    environment = clean_environment() | {"TERM": "xterm-256color", "NO_COLOR": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, stdout=its_end, timeout=60)
    os.close(its_end)
    told = os.read(screen, 65_536).decode()
    os.close(screen)

    assert done.returncode == 0
    assert "store" in told
    # Bold and dim are no colours.
    assert set(re.findall(r"\x1b\[([\d;]*)m", told)) <= {"0", "1", "2"}


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    code, told, error = run(tmp_path, "top", "--url", "http://127.0.0.1:9", "--json")

    assert (code, told) == (3, "")
    assert "is `sidecar serve` running there?" in error
