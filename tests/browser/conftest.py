"""A real browser, and pages in it that speak to nobody but the server."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from tests.browser.looking import DESKTOP, Noted

Scheme = Literal["light", "dark"]

_FLAGS = (
    "--no-sandbox",  # root in a container has no other way
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--font-render-hinting=none",
    # Names of somebody else that were made to lead to this machine.
    "--host-resolver-rules=MAP *.rebound.example 127.0.0.1",
)


class Visit(Protocol):
    """Opens a page of a server."""

    def __call__(
        self,
        origin: str,
        path: str = "/",
        *,
        scheme: Scheme = "light",
        size: tuple[int, int] = DESKTOP,
        others: tuple[str, ...] = (),
        may_complain: bool = False,
    ) -> Page:
        """A page in a context of its own, without cookies of others.

        Args:
            origin: such as `http://127.0.0.1:8377`.
            others: origins that it may ask beside its own.
            may_complain: whether something is to go wrong.
        """
        ...


# Not for a whole run: while it lives, its loop would be in the way of tests that are async.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing: run `make system-packages`"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages; at the end, none of them asked anybody else or broke its own policy."""
    opened: list[tuple[BrowserContext, tuple[str, ...], Noted, bool]] = []

    def open_page(
        origin: str,
        path: str = "/",
        *,
        scheme: Scheme = "light",
        size: tuple[int, int] = DESKTOP,
        others: tuple[str, ...] = (),
        may_complain: bool = False,
    ) -> Page:
        width, height = size
        context = browser.new_context(
            color_scheme=scheme,
            viewport={"width": width, "height": height},
            reduced_motion="reduce",
            accept_downloads=True,
        )
        context.set_default_timeout(20_000)
        noted = Noted()
        opened.append((context, (origin, *others), noted, may_complain))
        context.on("request", noted.request)
        context.on("console", noted.console)
        context.on("weberror", lambda error: noted.defect(error.error))
        page = context.new_page()
        page.goto(origin + path)
        return page

    yield open_page
    for context, *_ in opened:
        with suppress(BrowserError):  # a test may have closed it
            context.close()
    for _, origins, noted, may_complain in opened:
        assert noted.asked, "no page was asked for"
        assert noted.elsewhere(origins) == []
        assert may_complain or noted.complaints == []
