"""What two looks at `/metrics` tell of the time between them."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.cli.scraped import Between, read_scrape

BEFORE = """
# HELP calls_total Calls.
calls_total{route="/a",status="200"} 10
calls_total{route="/b",status="200"} 5
took_seconds_bucket{le="0.1"} 0
took_seconds_bucket{le="0.2"} 0
took_seconds_bucket{le="+Inf"} 0
up 1
"""
AFTER = r"""
calls_total{route="/a",status="200"} 30
calls_total{route="/b",status="200"} 2
calls_total{route="/a\"},\\",status="500"} 4
took_seconds_bucket{le="0.1"} 50
took_seconds_bucket{le="0.2"} 100
took_seconds_bucket{le="+Inf"} 100
up 1
"""


@pytest.fixture
def between() -> Between:
    return Between(read_scrape(BEFORE, 100.0), read_scrape(AFTER, 102.0))


def test_labels_are_read_as_prometheus_reads_them() -> None:
    scrape = read_scrape(AFTER, 0.0)
    theirs = {
        (sample.name, frozenset(sample.labels.items()), sample.value)
        for family in text_string_to_metric_families(AFTER.lstrip())
        for sample in family.samples
    }

    ours = {(name, *pair) for name, found in scrape.samples.items() for pair in found.items()}
    assert ours == theirs


def test_a_rate_is_what_a_counter_grew_in_a_second(between: Between) -> None:
    # One that is less than before began anew: a server was started again.
    assert between.rate("calls_total", route="/a", status="200") == 10
    assert between.rate("calls_total", route="/b") == 1
    assert between.rate("nobody_counted_this") == 0


def test_growth_is_told_apart_by_a_label(between: Between) -> None:
    assert between.grown_by("calls_total", "status") == {"200": 17, "500": 4}


def test_a_quantile_lies_within_its_bucket(between: Between) -> None:
    assert between.quantile("took_seconds", 0.5) == pytest.approx(0.1)
    assert between.quantile("took_seconds", 0.75) == pytest.approx(0.15)
    assert between.quantile("took_seconds", 1.0) == pytest.approx(0.2)


def test_where_nothing_took_any_time_there_is_no_quantile(between: Between) -> None:
    assert Between(between.after, between.after).quantile("took_seconds", 0.5) is None
    assert between.quantile("nobody_counted_this", 0.5) is None


def test_beyond_the_last_bound_nothing_is_guessed() -> None:
    text = 'took_seconds_bucket{le="0.1"} 1\ntook_seconds_bucket{le="+Inf"} 10\n'
    told = Between(read_scrape("", 0.0), read_scrape(text, 1.0)).quantile("took_seconds", 0.99)

    assert told == 0.1
    assert told is not None
    assert math.isfinite(told)
