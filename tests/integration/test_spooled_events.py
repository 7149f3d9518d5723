"""What was acknowledged while the store was away is logged and delivered when it is back."""

from pathlib import Path

from tests.in_process import application
from tests.ingest import ingest
from tests.listening import until
from tests.processes import RedisServer


async def test_events_that_were_spooled_come_to_the_control_plane_and_into_the_log(
    tmp_path: Path,
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    event = {"app_id": "acme", "user_id": "ann", "total_tokens": 5, "model_name": "gpt-4o"}
    try:
        async with (
            ingest() as plane,
            application(
                sidecar_store=redis.url, sidecar_spool=tmp_path / "spool", sidecar_events_kept="1d",
                **plane.settings(),
            ) as client,
        ):  # fmt: skip
            redis.stop()
            answers = [
                await client.post("/v1/usage", json=event | {"event_id": f"e-{number}"})
                for number in range(3)
            ]
            redis.start()
            await until(lambda: len(plane.sent) == 3)
            exported = await client.get("/v1/usage/export", params={"app_id": "acme"})
    finally:
        redis.stop()

    assert [answer.status_code for answer in answers] == [202] * 3
    assert sorted(plane.ids) == ["e-0", "e-1", "e-2"]
    assert plane.sent[0]["model_name"] == "gpt-4o"
    assert plane.sent[0]["event_ts"].endswith("Z")
    assert len(exported.text.splitlines()) == 3
