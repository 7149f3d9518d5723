"""Is each model without a price told once, however often it comes?"""

from structlog.testing import capture_logs

from sidecar.adapters.decisions.told import LoggedDecisions


def test_an_unknown_model_is_named_once_and_counted_until_prices_are_read_again() -> None:
    with capture_logs() as logs:
        decisions = LoggedDecisions()
        for model in ("a", "b", "a", "a"):
            decisions.unknown_model(model)
        decisions.begin_anew()
        decisions.unknown_model("a")

    assert [(log["event"], log.get("model") or log.get("times")) for log in logs] == [
        ("unknown_model", "a"),
        ("unknown_model", "b"),
        ("unknown_models", {"a": 3, "b": 1}),
        ("unknown_model", "a"),
    ]


def test_of_names_without_end_a_hundred_are_kept() -> None:
    with capture_logs() as logs:
        decisions = LoggedDecisions()
        for number in range(10_000):
            decisions.unknown_model(f"model-{number}")
        decisions.begin_anew()

    assert len(logs) == 101
    assert len(logs[-1]["times"]) == 100


def test_without_an_unknown_model_nothing_is_told_when_prices_are_read_again() -> None:
    with capture_logs() as logs:
        LoggedDecisions().begin_anew()

    assert logs == []
