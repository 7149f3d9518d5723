"""The short form of what `make fuzz-http` sends."""

from pathlib import Path

from tests.fuzzing.framing import send_malformed


async def test_what_is_no_request_is_refused_and_nothing_falls(tmp_path: Path) -> None:
    tally = await send_malformed(tmp_path, 1_500, seed=20_261_122)

    assert tally.failures == {}
    assert tally.asked == 1_500
    # Not all is refused in the first line.
    assert {200, 202, 400, 404, 408, 413, 422, 431} <= set(tally.statuses), tally.statuses
