"""How is a balance written down in a store?"""

from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from sidecar.domain.value import fields_of
from sidecar.domain.wallet import Wallet


def write_wallet(wallet: Wallet) -> str:
    """A balance as JSON, the same text for the same balance."""
    return orjson.dumps(asdict(wallet), option=orjson.OPT_SORT_KEYS).decode()


@lru_cache(4096)
def read_wallet(text: str) -> Wallet:
    """The balance of `write_wallet`; what a later version adds is left aside."""
    written: dict[str, Any] = orjson.loads(text)
    fields = {name: written[name] for name in fields_of(Wallet) if name in written}
    fields["as_of"] = datetime.fromisoformat(fields["as_of"])
    return Wallet(**fields)
