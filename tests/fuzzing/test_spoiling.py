"""An odd value anywhere in a request that was right is answered as the document says."""

from tests.fuzzing.spoiling import ask_spoilt
from tests.in_process import application


async def test_one_odd_value_in_a_right_request_is_answered_as_the_document_says() -> None:
    async with application("policies/quickstart") as client:
        tally = await ask_spoilt(client, 1_500, seed=1)

    assert tally.failures == {}
    assert {200, 202, 400, 402, 404, 422} <= tally.statuses.keys(), tally.statuses
    assert tally.asked == 1_500
