"""What does somebody see of a page, and can somebody use it who sees nothing?"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request

from tests.processes import ROOT

ARTEFACTS: Final = Path(os.environ.get("ARTEFACTS", ROOT / ".artefacts"))
"""Where screenshots are kept; whoever runs the tests may keep them longer."""
DESKTOP: Final = (1280, 900)
PHONE: Final = (390, 844)

_SERIOUS: Final = ("serious", "critical")
_ANSWERED: Final = "Failed to load resource: the server responded"


# Neither frozen nor with slots: Playwright leaves a note at whoever listens.
@dataclass
class Noted:
    """What a page asked for and what it complained of."""

    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def request(self, request: Request) -> None:
        """Note one."""
        self.asked.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        """Note one that is an error, such as what the page's own policy refuses."""
        # A refusal of the server is what a test may be about.
        if message.type == "error" and not message.text.startswith(_ANSWERED):
            self.complaints.append(message.text)

    def defect(self, error: object) -> None:
        """Note that a script failed."""
        self.complaints.append(str(error))

    def elsewhere(self, origins: Sequence[str]) -> list[str]:
        """Requests that went to none of these."""
        # Of what is within the page itself, nobody hears.
        home = (*(f"{origin}/" for origin in origins), "data:", "blob:", "about:")
        return [url for url in self.asked if not url.startswith(home)]


def photograph(page: Page, name: str) -> None:
    """Keep the whole page as a picture."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


def barriers(page: Page) -> list[str]:
    """What keeps somebody from using the page, as far as a program can tell."""
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]}"
        for each in violations
        if each["impact"] in _SERIOUS
        for node in each["nodes"]
    ]
