"""Balances on Redis: one JSON document for each user of an app."""

from dataclasses import replace

from sidecar.adapters.changes import WALLET
from sidecar.adapters.redis.channel import bytes_of
from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.documents import RedisDocuments
from sidecar.adapters.redis.keys import app_prefix, wallet_key
from sidecar.adapters.spending import used_at
from sidecar.adapters.wallet_documents import read_wallet, write_wallet
from sidecar.domain.request import Subject
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.wallet import Wallet, merge, no_wallet, wallet_counter
from sidecar.domain.windows import to_ms

_NUMBERS = 40
"""Bytes of a counter in front of its marks, see counters.lua."""


class RedisWallets:
    """What others said of balances, seen by every replica on the same Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._documents: RedisDocuments[tuple[SyncOutcome, Wallet]] = RedisDocuments(connection)

    async def find(self, subject: Subject, *, since: float) -> Wallet:
        """The balance of a user as it was told last, or one that says that none was."""
        document = await self._documents.get(wallet_key(subject.app_id, subject.user_id), since)
        return no_wallet(subject) if document is None else read_wallet(document)

    async def sync(self, told: Wallet, *, since: float) -> tuple[SyncOutcome, Wallet]:
        """Put a balance in the place of an older one, with what was used when it was that."""
        # What is counted from here on comes after the balance, or is taken for it.
        key = f"{app_prefix(told.app_id)}:c:{wallet_counter(told)}@0"
        counter = await self._connection.command("GET", key, since=since)
        marks = bytes_of(str(counter or ""))[_NUMBERS:]
        told = replace(told, base=used_at(marks, to_ms(told.as_of)))

        def merged(stored: str | None) -> tuple[str | None, tuple[SyncOutcome, Wallet]]:
            outcome, wallet = merge(read_wallet(stored) if stored else None, told)
            is_new = outcome is SyncOutcome.SYNCED
            return write_wallet(wallet) if is_new else None, (outcome, wallet)

        key = wallet_key(told.app_id, told.user_id)
        change = WALLET, told.user_id
        return await self._documents.change(key, merged, since, change=change)
