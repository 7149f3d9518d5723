"""The driver of HTTP drives: each kind of request is answered, and takes longer with its bytes."""

from tests.benchmarks.http_cost import measure


async def test_each_kind_of_request_has_its_cost() -> None:
    costs = await measure(3)

    assert list(costs) == ["check", "commit", "event", "ten events", "echo"]
    assert all(0 < cost.app < cost.whole for cost in costs.values())
