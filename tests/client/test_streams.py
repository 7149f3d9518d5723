"""Streams are charged to the token, whatever ends them; `make streams` is the long form."""

from pathlib import Path

from tests.client.streams import sidecar_is_killed, streams_are_cancelled


def test_streams_of_which_a_third_is_cancelled_are_charged_to_the_token(
    tmp_path: Path,
) -> None:
    done = streams_are_cancelled(tmp_path, 300)

    assert done.is_exact, done
    assert done.cancelled == 100
    assert (done.local, done.refused) == (0, 0)


def test_streams_outlive_the_sidecar_and_are_charged_when_it_is_back(tmp_path: Path) -> None:
    done = sidecar_is_killed(tmp_path, 120, "open")

    assert done.is_exact, done
    assert (done.refused, done.cancelled) == (0, 0)
    assert 40 < done.local <= 60


def test_closed_no_stream_begins_while_it_is_away_and_what_ran_is_charged(tmp_path: Path) -> None:
    done = sidecar_is_killed(tmp_path, 120, "closed")

    assert done.is_exact, done
    assert (done.local, done.cancelled) == (0, 0)
    assert 40 < done.refused <= 60
