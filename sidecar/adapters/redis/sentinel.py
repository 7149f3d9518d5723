"""Which server is the master now?

All sentinels are asked at once, by GET-MASTER-ADDR-BY-NAME: it names the new master as soon as
it was promoted, while SENTINEL MASTERS, which redis-py's own Sentinel reads, goes on naming the
old one until every other replica was told. What a sentinel says is believed when the server says
of itself that it is a master.
https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

import asyncio

from sidecar.adapters.address import Host, RedisAddress
from sidecar.adapters.redis.channel import Channel
from sidecar.adapters.redis.dial import Dialer, Unreachable


async def master_channel(dialer: Dialer, address: RedisAddress) -> Channel:
    """A channel to the master.

    Raises:
        Unreachable: nobody knows one, or it does not answer.
    """
    question = "SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service
    asked = [
        asyncio.create_task(dialer.ask(host, *question, sentinel=True)) for host in address.hosts
    ]
    seen: set[Host] = set()
    faults: list[str] = []
    try:
        for answer in asyncio.as_completed(asked):
            try:
                told = await answer
                if told is None:
                    faults.append(f"a sentinel knows no {address.service}")
                elif (host := (str(told[0]), int(told[1]))) not in seen:
                    seen.add(host)
                    return await dialer.channel(host, master=True)
            except Unreachable as error:
                faults.append(str(error))
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    raise Unreachable("; ".join(dict.fromkeys(faults)))
