"""How does an accepted event stand in the log?"""

import orjson

from sidecar.domain.usage import ChargedEvent


def body_of(charged: ChargedEvent) -> str:
    """What its sender told, as JSON; empty where nobody sent it."""
    told = charged.event.told
    return "" if told is None else orjson.dumps(told, option=orjson.OPT_UTC_Z).decode()
