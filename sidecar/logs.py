"""How are log lines written, and to which request do they belong?

For a person, or as one JSON object each.
"""

import json
import logging
import secrets
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final

import structlog

_LONGEST_ID: Final = 256


class Asked:
    """The request that is being answered, by the name that its lines bear.

    Attributes:
        is_named_here: whether it came without a name, and has needed one since.
    """

    __slots__ = ("_headers", "_id", "is_named_here")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = headers
        self._id = ""
        self.is_named_here = False

    @property
    def id(self) -> str:
        """As it was sent, else one that is made when it is needed first."""
        if not self._id:
            for name, value in self._headers:
                if name == b"x-request-id" and 0 < len(value) <= _LONGEST_ID and value.isascii():
                    self._id = value.decode("ascii")
        if not self._id:
            self._id = "req_" + secrets.token_urlsafe(12)
            self.is_named_here = True
        return self._id


REQUEST: Final[ContextVar[Asked | None]] = ContextVar("request", default=None)
DECISION: Final[ContextVar[str]] = ContextVar("decision", default="")
"""The id of the decision that was made last."""
TRACE: Final[ContextVar[tuple[str, str] | None]] = ContextVar("trace", default=None)
"""The ids of the trace and of the request's span in it, where requests are traced."""


def _belonging(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A line with the request, the decision and the trace that it belongs to."""
    asked = REQUEST.get()
    if asked is not None:
        event.setdefault("request_id", asked.id)
        decision_id = DECISION.get()
        if decision_id:
            event.setdefault("decision_id", decision_id)
        trace = TRACE.get()
        if trace is not None:
            event["trace_id"], event["span_id"] = trace
    return event


def _harmless(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What callers sent, with no character in it that does something to a terminal."""
    return {
        name: _shown(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text
    )


_HIDDEN: Final = "[hidden]"
_SHORTEST: Final = 4
"""Characters of a secret that is looked for: a shorter one is everywhere."""
_TELL_ALL: Final = ("httpx", "httpcore")
"""They tell of each address that is asked and of all headers, whatever stands in them."""


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Writes a line without any of the secrets, wherever in it they may stand."""

    def __init__(self, hidden: Iterable[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {secret for secret in hidden if len(secret) >= _SHORTEST}
        # As it is, and as JSON has it.
        known |= {json.dumps(secret)[1:-1] for secret in known}
        # One may be a part of another.
        self._secrets = sorted(known, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The whole line."""
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, _HIDDEN)
        return line


def _may_be_told(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.name.startswith(_TELL_ALL)


def configure_logging(log_format: str, hidden: Iterable[str] = ()) -> None:
    """Let structlog and the standard library write to standard error, in one form.

    Args:
        log_format: `json` or `console`.
        hidden: secrets, which are written nowhere, whoever tells them.
    """
    shared: list[structlog.typing.Processor] = [
        _belonging,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        last: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # A traceback with the values of locals would write keys and users' data to the log.
        plain = structlog.dev.plain_traceback
        last = [
            _harmless,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_may_be_told)
    handler.setFormatter(
        _Formatter(
            hidden,
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Loggers outlive an application: each line goes where logs go when it is written.
        cache_logger_on_first_use=False,
    )
