"""Whose work is being done just now, at which instant, and has it changed anything yet?"""

from dataclasses import dataclass


@dataclass(slots=True)
class Turn:
    """One piece of work on the counters of an app, among those that share a transaction.

    Attributes:
        now: its instant, in milliseconds since 1970.
        number: another one for each piece of work.
        has_changed: whether anything was changed that is not written yet.
    """

    app: str = ""
    now: int = 0
    number: int = 0
    has_changed: bool = False
