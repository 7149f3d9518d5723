"""What does a user's browser hold, so that it may see what is the user's?"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

LONGEST_TOKEN_S: Final = 3_600
"""That a portal token lives: nobody can call one back."""


@dataclass(frozen=True, slots=True)
class PortalToken:
    """A signed statement of who somebody is, for a while."""

    text: str = field(repr=False)
    expires_at: datetime
