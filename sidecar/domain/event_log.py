"""Which accepted events are kept, and what becomes of those that the control plane is to have?"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum

from sidecar.domain.usage import app_named_in, name_in_app
from sidecar.domain.value import value

_KIND = "evt_"


class Format(StrEnum):
    """How the control plane is told: each event as it came, or several in the platform's words."""

    SUMMARY = "summary"
    EVENTS = "events"


@value
class Keeping:
    """What of the accepted events is kept.

    Attributes:
        kept: how long each can be exported; nothing for not at all.
        most_waiting: how many may wait for the control plane; None where it gets none.
    """

    kept: timedelta = timedelta()
    most_waiting: int | None = None

    @property
    def kept_ms(self) -> int:
        """The same in milliseconds."""
        return self.kept // timedelta(milliseconds=1)

    @property
    def is_on(self) -> bool:
        """Whether anything is written at all."""
        return bool(self.kept) or self.most_waiting is not None


@value
class LoggedEvent:
    """An accepted event.

    Attributes:
        place: where it stands in the log of its app.
        received_at: when it was counted; within an app never before what stands in front of it.
        body: what its sender told, as JSON, with its `kind`.
    """

    app_id: str
    place: str
    received_at: datetime
    body: str

    @property
    def id(self) -> str:
        """What it is called outside."""
        return name_in_app(_KIND, self.app_id, self.place)


def whereabouts(entry_id: str) -> tuple[str, str] | None:
    """App and place of a logged event, None if this is no id of one."""
    app_id = app_named_in(_KIND, entry_id)
    return None if app_id is None else (app_id, entry_id.partition(".")[2])


@value
class Taken:
    """Events of one app that somebody delivers now, in their order.

    Attributes:
        tries: how often in a row nobody took the first of them.
    """

    events: Sequence[LoggedEvent]
    tries: int = 0


@value
class Settled:
    """What became of events that were taken.

    Attributes:
        done: places of those that were delivered.
        aside: places of those that will never be taken as they are, each with the status.
        again_in: after how long the app's next one is tried; None for at once.
        fault: why not at once.
    """

    done: Sequence[str] = ()
    aside: Mapping[str, int] = field(default_factory=dict)
    again_in: timedelta | None = None
    fault: str = ""


@value
class Backlog:
    """How much waits for the control plane.

    Attributes:
        waiting: events that are to be delivered.
        set_aside: events that it refused.
        oldest_at: since when the first of those that wait does.
    """

    waiting: int = 0
    set_aside: int = 0
    oldest_at: datetime | None = None

    def lag_s(self, now: datetime) -> float:
        """How long the first of those that wait does, in seconds."""
        if self.oldest_at is None:
            return 0.0
        return max(0.0, (now - self.oldest_at).total_seconds())


@value
class AppLine:
    """The events of one app that wait.

    Attributes:
        first: the id of the one that is next, None where none waits.
        again_at: when it is tried, None for at once.
        tries: how often in a row it was not taken.
        fault: why not, the last time.
    """

    app_id: str
    backlog: Backlog
    first: str | None
    again_at: datetime | None
    tries: int
    fault: str


@value
class SetAside:
    """An event that the control plane refused, and when."""

    event: LoggedEvent
    status: int
    at: datetime


@value
class Page:
    """Some of the accepted events.

    Attributes:
        cursor: what follows begins there, now or later.
        has_more: whether there is more already.
    """

    events: Sequence[LoggedEvent]
    cursor: str
    has_more: bool


@value
class Asked:
    """Which accepted events are asked for.

    Attributes:
        app_id: empty for those of all apps.
        begin, end: when they were received; the end is not included.
        cursor: of the page before; empty for the first.
    """

    app_id: str = ""
    begin: datetime | None = None
    end: datetime | None = None
    cursor: str = ""
    most: int = 1_000
